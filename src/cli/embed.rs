//! `loop-dml embed`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::CliError;
use super::DeviceArgs;
use super::embedding_args::EmbeddingArgs;
use super::interrupt::CommandMonitor;
use super::option_names::OptionNames;
use super::output::status;
use super::training_output::print_skipped;
use super::values::{self, checkpoint, whole_number};
use crate::backend::{BackendTask, ComputeContext};
use crate::data::{ImageSelection, ImageSet};
use crate::embedding_file::{EmbeddingOutput, Embeddings, NamedEmbeddings};
use crate::inference::{self, EmbeddingSource, InferenceError, PretrainedBackbone};
use crate::progress::Monitor;
use crate::training::Checkpoint;

const EXAMPLES: &str = "\
--images accepts a folder, an image, a text file with one path per line, or a CSV file (.csv, .tsv) with the \
column path and optionally label, split and a bounding box (x_1, y_1, x_2, y_2), to which the image is cropped. In a folder, images are sorted by name, and the class of an image is its \
subfolder (DIR/cat/1.jpg has class cat; DIR/2.jpg has no class).

FILE.safetensors contains `embeddings` f32 [N, D] and `labels` i64 [N] (-1 for images without a class), \
and the metadata `paths` and `classes` (JSON lists; labels index classes). The path of an image with a bounding box \
ends with it: a.jpg#12,4,200,180. FILE.npy contains the \
embeddings only; FILE.labels.npy and FILE.json are written beside it. FILE.parquet is a table for databases with the \
columns path, class, label and embedding (a list of D numbers). Existing files are not overwritten.

Examples:
  Embed a folder with a run:
    loop-dml embed artifacts/quickstart-1 --images photos --output photos.safetensors
  Embed the test rows of a list with an exported embedder:
    loop-dml embed embedder.safetensors --images list.csv --split test --output test.npy
  Embed a list of files:
    find photos -name '*.jpg' | sort > list.txt
    loop-dml embed embedder.safetensors --images list.txt --root . --output photos.safetensors
  Embed a folder for a database:
    loop-dml embed artifacts/quickstart-1 --images photos --output photos.parquet
  Embed features with a head that was trained on features of the same model:
    loop-dml embed artifacts/head-1 --embeddings features.npy --output embeddings.npy
  Compute pooled features with pretrained weights:
    loop-dml embed --backbone googlenet --weights googlenet.pth --images photos --output features.npy";

const USAGE: &str = "\
loop-dml embed <RUN|FILE> --images <DIR|LIST|IMAGE> --output <FILE> [OPTIONS]
       loop-dml embed <RUN|FILE> --embeddings <FILE> --output <FILE> [OPTIONS]
       loop-dml embed --backbone <NAME> --weights <FILE|imagenet> --images <DIR|LIST|IMAGE> --output <FILE> [OPTIONS]";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(super) struct EmbedArgs {
    /// Run folder, or file written by `loop-dml export`
    #[arg(
        value_name = "RUN|FILE",
        required_unless_present_any = ["backbone", "weights", "size", "resize"],
        conflicts_with_all = ["backbone", "weights", "size", "resize"]
    )]
    source: Option<PathBuf>,
    /// Checkpoint of the run; best has the highest Recall@1 [default: best]
    #[arg(long, value_name = "best|last|EPOCH", value_parser = checkpoint, allow_negative_numbers = true, conflicts_with = "backbone")]
    checkpoint: Option<Checkpoint>,
    /// Compute the pooled features of this backbone, not scaled to unit length, instead
    #[arg(long, value_name = "NAME", value_parser = values::backbone(), requires = "weights")]
    backbone: Option<String>,
    /// Pretrained weights of --backbone: a file, imagenet or imagenet-v2
    #[arg(long, value_name = "FILE|imagenet", requires = "backbone")]
    weights: Option<String>,
    /// Side of the input of --backbone in pixels [default: 224; conv4: 32]
    #[arg(long, value_name = "PIXELS", value_parser = whole_number::<usize>(..), allow_negative_numbers = true, requires = "backbone")]
    size: Option<usize>,
    /// Shorter side in pixels that images are resized to before the crop [default: 8/7 of --size]
    #[arg(long, value_name = "PIXELS", value_parser = whole_number::<usize>(..), allow_negative_numbers = true, requires = "backbone")]
    resize: Option<usize>,
    /// Folder, list or single image
    #[arg(
        long,
        value_name = "DIR|LIST|IMAGE",
        required_unless_present = "embeddings"
    )]
    images: Option<PathBuf>,
    /// Embed the rows of this file with a head that was trained on such features
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "root", "split", "backbone", "mirror", "skip_broken"])]
    embeddings: Option<PathBuf>,
    /// Folder that the paths of a list are relative to [default: the folder of the list]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Embed only rows of a CSV list with this value in the column split (test: also Test and TEST)
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Write this .safetensors, .npy or .parquet file
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    embedding: EmbeddingArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

impl EmbedArgs {
    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        match self.backbone {
            Some(_) => OptionNames::new(&[
                ("model.backbone", "--backbone"),
                ("model.weights", "--weights"),
                ("data.image_size", "--size"),
                ("data.resize", "--resize"),
            ]),
            None => OptionNames::default(),
        }
    }
}

pub(super) fn run(args: EmbedArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let output = EmbeddingOutput::new(&args.output)?;
    let mut source = embedding_source(&args)?;
    args.embedding.apply(source.config_mut())?;
    source.check_input(args.embeddings.is_some())?;
    let input = match (&args.embeddings, &args.images) {
        (Some(path), _) => Input::Features(Embeddings::read_with_any_labels(path)?),
        (None, images) => {
            let images = images.as_deref().expect("clap requires one of the two");
            let selection = ImageSelection {
                root: args.root,
                split: args.split,
            };
            let loading = &source.config().data.loading;
            let images = ImageSet::open(images, &selection, loading, command.monitor())?;
            Input::Images(images)
        }
    };
    let unit = match &input {
        Input::Images(_) => "images",
        Input::Features(_) => "rows",
    };
    let name = source.describe();
    let task = EmbedTask {
        source,
        input,
        monitor: command.monitor(),
    };
    let (embeddings, skipped) = args.device.run(task)??;
    output.write(&embeddings)?;
    print_skipped(&skipped);
    let files: Vec<String> = output
        .files()
        .map(|file| file.display().to_string())
        .collect();
    status(format_args!(
        "wrote {}: {} {unit}, {} numbers each, by {name}",
        files.join(", "),
        embeddings.labels.len(),
        embeddings.dim,
    ));
    Ok(())
}

fn embedding_source(args: &EmbedArgs) -> Result<EmbeddingSource, InferenceError> {
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

/// What is embedded.
enum Input {
    Images(ImageSet),
    Features(Embeddings),
}

struct EmbedTask<'a> {
    source: EmbeddingSource,
    input: Input,
    monitor: Monitor<'a>,
}

impl BackendTask for EmbedTask<'_> {
    type Output = Result<(NamedEmbeddings, Vec<String>), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let compute = &compute.without_gradients();
        match self.input {
            Input::Images(images) => inference::embed(&self.source, &images, compute, self.monitor),
            Input::Features(features) => {
                let (network, config) = (
                    self.source.network(compute, self.monitor)?,
                    self.source.config(),
                );
                let embedded =
                    inference::embed_features(&network, config, features, compute, self.monitor)?;
                Ok((embedded.into(), Vec::new()))
            }
        }
    }
}
