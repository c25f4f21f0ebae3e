//! The command line: one file per subcommand, each thin — parse, call the library, print.

mod bench;
mod cuda_restart;
mod data;
mod device_args;
mod devices;
mod embed;
mod error;
mod evaluate;
mod export;
mod logging;
mod loss;
mod output;
mod progress;
mod train;
mod training_output;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};
use device_args::DeviceArgs;
pub use error::CliError;

use crate::backend::BackendName;
use crate::cancellation::CancellationToken;

/// Deep metric learning with LoOp's optimal hard negatives, on Burn.
#[derive(Debug, Parser)]
#[command(name = "loop-dml", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  loop-dml train                                    the quickstart: no file, no network, about 40 s
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

/// Runs the program: parses the arguments, runs the command, and reports what ends it.
pub fn main() -> ExitCode {
    logging::install();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::from(error::SUCCESS),
        Err(error) => {
            output::status(format_args!("error: {error}"));
            ExitCode::from(error.exit_status())
        }
    }
}

/// Runs what the command line asks for.
///
/// # Errors
///
/// Whatever ends the command before it is done.
pub fn run(cli: Cli) -> Result<(), CliError> {
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

/// A token that Ctrl-C or a signal to end cancels, so that the work stops in order; a second one ends
/// the process at once.
fn cancel_on_interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    let handle = token.clone();
    let interrupted = AtomicBool::new(false);
    let installed = ctrlc::set_handler(move || {
        if interrupted.swap(true, Ordering::Relaxed) {
            std::process::exit(error::INTERRUPTED.into());
        }
        handle.cancel();
    });
    if let Err(error) = installed {
        tracing::warn!("Ctrl-C will end the process at once: {error}");
    }
    token
}
