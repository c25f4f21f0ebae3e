//! `loop-dml embed`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::CliError;
use super::output::status;
use super::progress::ProgressBars;
use super::training_output::print_skipped;
use super::{DeviceArgs, cancel_on_interrupt};
use crate::backend::{BackendTask, ComputeContext};
use crate::cancellation::CancellationToken;
use crate::data::config::BrokenImages;
use crate::data::{ImageSelection, ImageSet};
use crate::inference::embedding_file::{EmbeddingOutput, NamedEmbeddings};
use crate::inference::{self, EmbeddingSource, InferenceError, PretrainedBackbone};
use crate::training::Checkpoint;

const EXAMPLES: &str = "\
Examples:
  loop-dml embed artifacts/quickstart-1 --images photos --output photos.safetensors
  loop-dml embed embedder.safetensors --images list.csv --split test --output test.npy
  find photos -name '*.jpg' | sort > list.txt
  loop-dml embed embedder.safetensors --images list.txt --root . --output photos.safetensors
  loop-dml embed --backbone googlenet --weights googlenet.pth --images photos --output features.npy
  loop-dml evaluate --embeddings photos.safetensors

Images: of a folder, all below it in the order of their names, an image's class being the folder it
lies in (DIR/cat/1.jpg is of class cat; those directly in DIR have none); or as listed, in a text file
with one path a line, or a CSV file with a column path and if wanted label and split.

FILE.safetensors holds `embeddings` f32 [N, D] and `labels` i64 [N], -1 for images without a class,
and in its metadata `paths` and `classes` (JSON lists; the labels index the classes). FILE.npy holds
the embeddings alone; beside it come FILE.labels.npy and FILE.json with paths and classes. Nothing is
overwritten.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EmbedArgs {
    /// Folder of a run, or a file that `loop-dml export` wrote.
    #[arg(
        value_name = "RUN|FILE",
        required_unless_present = "backbone",
        conflicts_with = "backbone"
    )]
    source: Option<PathBuf>,
    /// Which checkpoint of a run: best (by Recall@1, the default), last, or the number of an epoch.
    #[arg(long, value_name = "best|last|EPOCH", conflicts_with = "backbone")]
    checkpoint: Option<Checkpoint>,
    /// Without a run: the pooled features of this backbone, not scaled to unit length.
    #[arg(long, value_name = "NAME", requires = "weights")]
    backbone: Option<String>,
    /// The backbone's pretrained weights, as model.weights takes them.
    #[arg(long, value_name = "FILE", requires = "backbone")]
    weights: Option<String>,
    /// Side of the backbone's input in pixels; by default 224, for conv4 32.
    #[arg(long, value_name = "PIXELS", requires = "backbone")]
    size: Option<usize>,
    /// Shorter side, in pixels, of which the backbone's input is cut out; by default 8/7 of --size.
    #[arg(long, value_name = "PIXELS", requires = "backbone")]
    resize: Option<usize>,
    /// Folder of images, or list of them.
    #[arg(long, value_name = "DIR|LIST")]
    images: PathBuf,
    /// Folder that the paths of a list are relative to; by default that of the list.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Only the rows of a CSV list with this word in the column split.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// The file to write, .safetensors or .npy.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Average the embeddings of each image and its mirror image; by default as in the run.
    #[arg(long)]
    mirror: bool,
    /// Leave out images that cannot be read, and name them; by default as in the run.
    #[arg(long)]
    skip_broken: bool,
    /// Images embedded at once; by default that of the run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: Option<u16>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: EmbedArgs) -> Result<(), CliError> {
    let output = EmbeddingOutput::new(&args.output)?;
    let mut source = source_of(&args)?;
    let config = source.config_mut();
    config.evaluation.mirror |= args.mirror;
    if let Some(size) = args.batch_size {
        config.evaluation.batch_size = size.into();
    }
    if args.skip_broken {
        config.data.loading.broken_images = BrokenImages::Skip;
    }
    let cancellation = cancel_on_interrupt();
    let selection = ImageSelection {
        root: args.root,
        split: args.split,
    };
    let loading = &source.config().data.loading;
    let images = ImageSet::open(&args.images, &selection, loading, &cancellation)?;
    let name = source.describe();
    let task = EmbedTask {
        source,
        images,
        cancellation,
    };
    let (embeddings, skipped) = args.device.run(task)??;
    output.write(&embeddings)?;
    print_skipped(&skipped);
    let files: Vec<String> = output
        .files()
        .map(|file| file.display().to_string())
        .collect();
    status(format_args!(
        "wrote {}: {} images, {} numbers each, by {name}",
        files.join(", "),
        embeddings.labels.len(),
        embeddings.dim,
    ));
    Ok(())
}

fn source_of(args: &EmbedArgs) -> Result<EmbeddingSource, InferenceError> {
    match (&args.source, &args.backbone, &args.weights) {
        (None, Some(backbone), Some(weights)) => EmbeddingSource::pretrained(&PretrainedBackbone {
            backbone: backbone.clone(),
            weights: weights.clone(),
            image_size: args.size,
            resize: args.resize,
        }),
        (source, ..) => {
            let path = source.as_deref().expect("clap requires one of the two");
            EmbeddingSource::open(path, args.checkpoint)
        }
    }
}

struct EmbedTask {
    source: EmbeddingSource,
    images: ImageSet,
    cancellation: CancellationToken,
}

impl BackendTask for EmbedTask {
    type Output = Result<(NamedEmbeddings, Vec<String>), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        inference::embed(
            &self.source,
            &self.images,
            &compute.without_gradients(),
            &self.cancellation,
            &ProgressBars::default(),
        )
    }
}
