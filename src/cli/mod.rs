//! The command line: one file per subcommand, each thin — parse, call the library, print.

mod bench;
mod cuda_restart;
mod data;
mod device_args;
mod devices;
mod embed;
mod evaluate;
mod export;
mod loss;
mod train;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use device_args::DeviceArgs;

use crate::backend::BackendName;
use crate::error::Error;
use crate::training::Stop;

/// Deep metric learning with LoOp's optimal hard negatives, on Burn.
#[derive(Debug, Parser)]
#[command(name = "loop-dml", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  loop-dml train                                    the quickstart: no file, no network, a minute
  loop-dml train --config configs/folder.toml --set data.root=photos
  loop-dml evaluate artifacts/quickstart-1 --json
  loop-dml export artifacts/quickstart-1 --output embedder.safetensors
  loop-dml embed embedder.safetensors --images photos --output photos.safetensors
  loop-dml data check --dataset folder --root photos
  loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop
  loop-dml devices                                  what there is to compute on, and whether it works";

#[derive(Debug, Subcommand)]
enum Command {
    /// Train an embedding; without --config, the quickstart.
    Train(train::TrainArgs),
    /// Measure retrieval: of a run on its test split, or of embeddings from files.
    Evaluate(evaluate::EvaluateArgs),
    /// Write a run's embedder to one file that is enough by itself.
    Export(export::ExportArgs),
    /// Embed images with a run, an exported embedder or pretrained weights.
    Embed(embed::EmbedArgs),
    /// Look at a dataset: everything that is wrong with it, or what it consists of.
    Data(data::DataArgs),
    /// Compute a loss and its gradient on embeddings from a file.
    Loss(loss::LossArgs),
    /// Time parts of the training on this machine.
    Bench(bench::BenchArgs),
    /// List the backends and their devices, and test each with a small computation.
    Devices(devices::DevicesArgs),
}

impl Command {
    /// Whether the command may compute on CUDA.
    fn may_use_cuda(&self) -> bool {
        let device = match self {
            Self::Train(args) => &args.device,
            Self::Evaluate(args) => &args.device,
            Self::Export(args) => &args.device,
            Self::Embed(args) => &args.device,
            Self::Loss(args) => &args.device,
            Self::Bench(args) => args.device(),
            Self::Devices(_) => return true,
            Self::Data(_) => return false,
        };
        matches!(device.choice().backend(), Ok(BackendName::Cuda))
    }
}

/// A bar on standard error; hidden where that is no terminal.
fn progress_bar(doing: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}")
        .expect("the template is valid");
    ProgressBar::new(0).with_style(style).with_message(doing)
}

fn advance(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done as u64);
}

/// Runs what the command line asks for.
///
/// # Errors
///
/// Whatever ends the command before it is done.
pub fn run(cli: Cli) -> Result<(), Error> {
    if cli.command.may_use_cuda() {
        cuda_restart::restart_if_needed();
    }
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Data(args) => data::run(args),
        Command::Loss(args) => loss::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Devices(args) => devices::run(args),
    }
}

/// Lets an interruption from the terminal or the system stop the work in order; a second one ends
/// the process at once.
fn stop_on_interrupt() -> Stop {
    let stop = Stop::new();
    let handle = stop.clone();
    let installed = ctrlc::set_handler(move || {
        if handle.requested() {
            std::process::exit(INTERRUPTED);
        }
        handle.because(Error::Interrupted { run: None });
    });
    if let Err(error) = installed {
        eprintln!("warning: interrupts will end the process at once: {error}");
    }
    stop
}

/// Exit status of an interrupted command.
const INTERRUPTED: i32 = 130;
