//! `loop-dml export`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::CliError;
use super::DeviceArgs;
use super::interrupt::CommandMonitor;
use super::output::status;
use super::values::checkpoint;
use crate::backend::{BackendTask, ComputeContext};
use crate::inference::export::ExportOutput;
use crate::inference::{InferenceError, export_run};
use crate::training::{Checkpoint, RunFolder};

const EXAMPLES: &str = "\
The file is self-contained. Its tensors have PyTorch's names and axis order (backbone.*, head.*), and its \
metadata describe the network and the preprocessing. `loop-dml embed` gives bit-identical embeddings with \
the file and with the run. FILE.json beside it describes the same for people and other programs. There is \
no ONNX export; for GoogLeNet, FILE.json shows how to create one with PyTorch.

Examples:
  loop-dml export artifacts/quickstart-1 --output embedder.safetensors
  loop-dml export artifacts/birds-2 --checkpoint 40 --output birds.safetensors";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Checkpoint to export; best has the highest Recall@1
    #[arg(long, value_name = "best|last|EPOCH", default_value = "best", value_parser = checkpoint, allow_negative_numbers = true)]
    checkpoint: Checkpoint,
    /// Write this .safetensors file, and a .json file beside it
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: ExportArgs) -> Result<(), CliError> {
    let _command = CommandMonitor::install();
    let output = ExportOutput::new(&args.output)?;
    let folder = RunFolder::open(&args.run)?;
    let epoch = folder.checkpoint(args.checkpoint)?;
    let task = ExportTask {
        folder,
        epoch,
        output: output.clone(),
    };
    args.device.run(task)??;
    status(format_args!(
        "wrote {} and {}: {} at epoch {epoch}",
        output.tensors().display(),
        output.description().display(),
        args.run.display()
    ));
    Ok(())
}

struct ExportTask {
    folder: RunFolder,
    epoch: usize,
    output: ExportOutput,
}

impl BackendTask for ExportTask {
    type Output = Result<(), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        export_run(
            &self.folder,
            self.epoch,
            &self.output,
            &compute.without_gradients(),
        )
    }
}
