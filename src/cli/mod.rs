//! The command line: one file per subcommand, which parses, calls the library and prints.
//!
//! This is the only module that writes to the terminal (`output`) and that knows exit statuses
//! (`error`). It subscribes to the library's log (`logging`), progress (`progress`) and training events
//! (`training_output`). Commands without state to save end promptly after Ctrl-C (`interrupt`).

mod bench;
mod check_table;
mod config;
mod cuda_restart;
#[cfg(feature = "tui")]
mod dashboard;
mod data;
mod device_args;
mod devices;
mod dry_run;
mod embed;
mod embedding_args;
mod error;
mod evaluate;
mod export;
mod extension;
mod interrupt;
mod large_recall;
mod logging;
mod loss;
mod measured_line;
mod measures;
mod option_names;
mod output;
mod processes;
mod progress;
mod report;
mod search;
mod signals;
mod startup;
mod sweep;
mod train;
mod training_output;
mod training_renderer;
mod training_speed;
// Without a dashboard, only the figures of the lines are read.
#[cfg_attr(not(feature = "tui"), allow(dead_code))]
mod training_state;
mod values;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use device_args::DeviceArgs;
pub use error::CliError;
use option_names::OptionNames;
use processes::Processes;
use signals::cancel_on_interrupt;

use crate::backend::BackendName;

/// Deep metric learning with LoOp's optimal hard negatives, on Burn.
#[derive(Debug, Parser)]
#[command(name = "loop-dml", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Train the quickstart, which needs no files and no network (about 40 s on 2 cores):
    loop-dml train
  Train on a folder of images, one subfolder per class:
    loop-dml train --config configs/folder.toml --set data.root=photos
  Evaluate a run, export its embedder and embed images with it:
    loop-dml evaluate artifacts/quickstart-1 --json
    loop-dml export artifacts/quickstart-1 --output embedder.safetensors
    loop-dml embed embedder.safetensors --images photos --output photos.safetensors
  Write a report of a run as HTML:
    loop-dml report artifacts/quickstart-1
  Train every combination of some values and compare the results:
    loop-dml sweep configs/sweeps/quickstart.toml
  Find the nearest images of a photo in a folder:
    loop-dml search embedder.safetensors photo.jpg --gallery photos --html neighbours.html
  Check a dataset before training:
    loop-dml data check --dataset folder --root photos
  Compute a loss:
    loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop
  List devices:
    loop-dml devices
  List the configuration keys of a section:
    loop-dml config loss

Environment:
  LOOP_DML_LOG             Log filter, such as debug or loop_dml=debug [default: loop_dml=info]
  LOOP_DML_WEIGHTS_MIRROR  Address of a folder with the published weights
  RAYON_NUM_THREADS        Number of CPU threads [default: all cores]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Train an embedder
    Train(train::TrainArgs),
    /// Evaluate a run or embedding files
    Evaluate(evaluate::EvaluateArgs),
    /// Write the embedder of a run to a self-contained file
    Export(export::ExportArgs),
    /// Embed images with a run, an exported embedder or pretrained weights
    Embed(embed::EmbedArgs),
    /// Find the nearest images of query images
    Search(search::SearchArgs),
    /// Check or describe a dataset
    Data(data::DataArgs),
    /// Write a report of a run, or a comparison of runs, as an HTML file
    Report(report::ReportArgs),
    /// Train every combination of some values and compare the results
    Sweep(sweep::SweepArgs),
    /// Compute a loss and its gradient for embeddings in a file
    Loss(loss::LossArgs),
    /// Time parts of training on this machine
    Bench(bench::BenchArgs),
    /// List and test backends and devices
    Devices(devices::DevicesArgs),
    /// List the configuration keys, or print a configuration
    Config(config::ConfigArgs),
}

impl Command {
    /// Whether several processes may run the command together.
    fn trains(&self) -> bool {
        matches!(self, Self::Train(args) if !args.is_dry_run())
    }

    /// Whether the command may compute on CUDA.
    fn may_use_cuda(&self) -> bool {
        let device = match self {
            Self::Train(args) => &args.device,
            Self::Evaluate(args) => &args.device,
            Self::Export(args) => &args.device,
            Self::Embed(args) => &args.device,
            Self::Report(args) => &args.device,
            Self::Search(args) => &args.device,
            Self::Loss(args) => &args.device,
            Self::Bench(args) => args.device(),
            Self::Devices(_) => return true,
            Self::Data(args) => match args.device() {
                Some(device) => device,
                None => return false,
            },
            // Each training is another process.
            Self::Sweep(_) | Self::Config(_) => return false,
        };
        matches!(device.choice().backend(), Ok(BackendName::Cuda))
    }

    /// The options that set configuration keys.
    fn option_names(&self) -> OptionNames {
        match self {
            Self::Train(args) => args.option_names(),
            Self::Evaluate(args) => args.option_names(),
            Self::Embed(args) => args.option_names(),
            Self::Report(args) => args.option_names(),
            Self::Data(args) => args.option_names(),
            Self::Loss(_) => loss::option_names(),
            Self::Bench(args) => args.option_names(),
            Self::Export(_)
            | Self::Search(_)
            | Self::Sweep(_)
            | Self::Devices(_)
            | Self::Config(_) => OptionNames::default(),
        }
    }
}

/// Runs the program: parses the arguments, runs the command, and reports what ends it.
pub fn main() -> ExitCode {
    startup::silence_graphics_drivers();
    startup::report_file_size_limit();
    logging::install();
    let mut options = OptionNames::default();
    let mut processes = Processes::default();
    let result = match Cli::try_parse() {
        Ok(cli) => {
            options = cli.command.option_names();
            restart_for_cuda(&cli);
            Processes::join(&cli.command).and_then(|joined| {
                processes = joined;
                run_in(cli, &processes)
            })
        }
        Err(error) if error.use_stderr() => {
            // clap escapes nothing, but what it quotes are the user's own arguments.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX));
        }
        // The help or the version.
        Err(text) => output::written(text.print().and_then(|()| io::stdout().flush())),
    };
    match result {
        Ok(()) => ExitCode::from(error::SUCCESS),
        Err(error) => {
            let line = bounded(format!("error: {}", options.in_message(&error.to_string())));
            match error.has_lines() {
                true => output::status_lines(&line),
                false => output::status(&line),
            }
            let message = line.strip_prefix("error: ").unwrap_or(&line);
            processes.fail(message, error.exit_status());
            ExitCode::from(error.exit_status())
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// The error that ends the command.
pub fn run(cli: Cli) -> Result<(), CliError> {
    restart_for_cuda(&cli);
    run_in(cli, &Processes::default())
}

/// Restarts the process if the command needs CUDA's libraries and they are elsewhere. Before MPI is initialised, which
/// a process does once.
fn restart_for_cuda(cli: &Cli) {
    if cli.command.may_use_cuda() {
        cuda_restart::restart_if_needed();
    }
}

fn run_in(cli: Cli, processes: &Processes) -> Result<(), CliError> {
    let group = processes.group();
    let on_machine = processes.number_on_machine();
    startup::prepare(processes.threads())?;
    startup::on_command_thread(|| match cli.command {
        Command::Train(args) => train::run(args, group, on_machine),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Report(args) => report::run(args),
        Command::Search(args) => search::run(args),
        Command::Data(args) => data::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Loss(args) => loss::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Config(args) => config::run(args),
    })
}

/// The most bytes of an error message. A message quotes what the user wrote, which may be long.
const MAXIMUM_MESSAGE: usize = 4000;

/// The message, or the start and the end of a long one.
fn bounded(message: String) -> String {
    if message.len() <= MAXIMUM_MESSAGE {
        return message;
    }
    let part = MAXIMUM_MESSAGE / 2 - 50;
    let start = message.floor_char_boundary(part);
    let end = message.ceil_char_boundary(message.len() - part);
    let omitted = end - start;
    format!(
        "{} … ({omitted} bytes omitted) … {}",
        &message[..start],
        &message[end..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_between_characters_and_short_ones_kept() {
        let short = "é".repeat(MAXIMUM_MESSAGE / 2);
        assert_eq!(bounded(short.clone()), short);
        let long = bounded(format!("error: {}; give 3 or more", "é".repeat(100_000)));
        assert!(long.len() <= MAXIMUM_MESSAGE);
        assert!(long.starts_with("error: é") && long.ends_with("; give 3 or more"));
    }
}
