//! The command line: one file per subcommand, each thin — parse, call the library, print.

mod bench;
mod data;
mod embed;
mod evaluate;
mod export;
mod loss;
mod train;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::backend::{BackendName, DeviceChoice};
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
  loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop";

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
}

/// Where to compute.
#[derive(Debug, Clone, Args)]
struct DeviceArgs {
    /// Backend, of those compiled in; by default the first of cuda, wgpu and cpu.
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendName>,
    /// Number of the backend's device.
    #[arg(long, value_name = "N", default_value_t = 0)]
    device: usize,
    /// Let a GPU backend fuse operations into larger kernels (experimental; needs --features fusion).
    #[arg(long)]
    fusion: bool,
}

impl DeviceArgs {
    fn choice(&self) -> DeviceChoice {
        DeviceChoice {
            backend: self.backend,
            index: self.device,
            fusion: self.fusion,
        }
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
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Data(args) => data::run(args),
        Command::Loss(args) => loss::run(args),
        Command::Bench(args) => bench::run(args),
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
