//! `loop-dml export`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::CliError;
use super::DeviceArgs;
use super::output::status;
use crate::backend::{BackendTask, ComputeContext};
use crate::inference::export::ExportOutput;
use crate::inference::{InferenceError, export_run};
use crate::training::{Checkpoint, RunFolder};

const EXAMPLES: &str = "\
Examples:
  loop-dml export artifacts/quickstart-1 --output embedder.safetensors
  loop-dml export artifacts/birds-2 --checkpoint 40 --output birds.safetensors

The file is enough by itself: `loop-dml embed` with it gives, to the last bit, what it gives with the
run. It holds every tensor under PyTorch's name and in PyTorch's order of axes (backbone.*, head.*),
and in its metadata the network and how images are brought to it. FILE.json beside it tells the same
to people and other programs. There is no ONNX export; for GoogLeNet, PyTorch makes one of the file,
as FILE.json says.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Which checkpoint: best (by Recall@1), last, or the number of an epoch.
    #[arg(long, value_name = "best|last|EPOCH", default_value = "best")]
    checkpoint: Checkpoint,
    /// The file, named .safetensors; a .json of the same name comes beside it.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: ExportArgs) -> Result<(), CliError> {
    let folder = RunFolder::open(&args.run)?;
    let epoch = folder.checkpoint(args.checkpoint)?;
    let output = ExportOutput::new(&args.output)?;
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
