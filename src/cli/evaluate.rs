//! `loop-dml evaluate`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use serde_json::{Value, json};

use super::CliError;
use super::DeviceArgs;
use super::embedding_args::check_mirror;
use super::interrupt::CommandMonitor;
use super::large_recall::{list, warn_left_out, within};
use super::measures::{MeasureArgs, Measured};
use super::option_names::OptionNames;
use super::output::print_json;
use super::training_output::print_skipped;
use super::values::{MAXIMUM_BATCH_SIZE, checkpoint, whole_number};
use crate::backend::{BackendTask, ComputeContext};
use crate::config::{Config, EvaluationConfig};
use crate::data::config::BrokenImages;
use crate::data::{self, DataError, Split, Transform};
use crate::embedding_file::{Embeddings, LabelsOption};
use crate::evaluation::{MeasureOptions, SplitMeasures, searched_images};
use crate::inference::{self, InferenceError, RetrievalResult};
use crate::progress::Monitor;
use crate::setting::SettingError;
use crate::training::{self, Checkpoint, RunFolder, SplitSummary, TrainingError};

const EXAMPLES: &str = "\
Examples:
  Evaluate the best checkpoint of a run on its test split:
    loop-dml evaluate artifacts/quickstart-1
  Evaluate the last checkpoint at other K, as JSON:
    loop-dml evaluate artifacts/quickstart-1 --checkpoint last --recall 1,10,100 --json
  Search each row of a file in the other rows:
    loop-dml evaluate --embeddings photos.safetensors
  Evaluate an array of NumPy with a label for each row in a text file:
    loop-dml evaluate --embeddings photos.npy --labels classes.txt
  Cluster the embeddings, print 95 % intervals and the measures of each class, and write them to a file:
    loop-dml evaluate artifacts/quickstart-1 --clustering --intervals --per-class --csv measures.csv
  Search queries in a gallery:
    loop-dml evaluate --embeddings queries.safetensors --gallery shop.safetensors --recall 1,10,20

A file is safetensors or .npz with `embeddings` [N, D] and `labels` [N], Parquet with the columns embedding and label \
or class, or .npy, whose labels are in --labels or in NAME.labels.npy beside it. --labels is any of these, a text with a label in each line, or a CSV file with a column \
label. Labels are integers or names. Rows with label -1 have no class. They are in the gallery but are not queries. If both files name their \
classes, as files of `loop-dml embed` do, classes are matched by name, otherwise by label.";

const USAGE: &str = "\
loop-dml evaluate <RUN> [OPTIONS]
       loop-dml evaluate --embeddings <FILE> [--gallery <FILE>] [OPTIONS]";

/// The options of files of embeddings, which exclude a run and its options.
const FILES: [&str; 4] = ["embeddings", "labels", "gallery", "gallery_labels"];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(super) struct EvaluateArgs {
    /// Run folder
    #[arg(
        value_name = "RUN",
        required_unless_present_any = FILES,
        conflicts_with_all = FILES
    )]
    run: Option<PathBuf>,
    /// Evaluate the embeddings in this safetensors, Parquet, .npy or .npz file; each row is searched in the others
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// Read their labels from this .npy or text file, one for each row
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    labels: Option<PathBuf>,
    /// Search the embeddings in those of this file
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    gallery: Option<PathBuf>,
    /// Read the labels of --gallery from this .npy or text file
    #[arg(long, value_name = "FILE", requires = "gallery")]
    gallery_labels: Option<PathBuf>,
    /// Checkpoint to evaluate; best has the highest Recall@1
    #[arg(
        long,
        value_name = "best|last|EPOCH",
        default_value = "best",
        value_parser = checkpoint,
        allow_negative_numbers = true,
        conflicts_with_all = FILES
    )]
    checkpoint: Checkpoint,
    /// Comma-separated K of Recall@K [default: those of the run]
    #[arg(long, value_name = "K,…", value_delimiter = ',', value_parser = whole_number::<usize>(1..), allow_negative_numbers = true)]
    recall: Vec<usize>,
    /// Read the run's images from this folder, if they were moved
    #[arg(long, value_name = "DIR", conflicts_with_all = FILES)]
    root: Option<PathBuf>,
    /// Number of images embedded at once; does not affect results [default: that of the run]
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(1..=MAXIMUM_BATCH_SIZE), allow_negative_numbers = true, conflicts_with_all = FILES)]
    batch_size: Option<usize>,
    /// Average the embeddings of each image and its mirror image [default: as in the run]
    #[arg(long, conflicts_with_all = FILES)]
    mirror: bool,
    #[command(flatten)]
    measures: MeasureArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

impl EvaluateArgs {
    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        let options = [
            ("data.root", "--root", self.root.is_some()),
            ("evaluation.recall", "--recall", !self.recall.is_empty()),
        ];
        let given = options.iter().filter(|(.., given)| *given);
        let given: Vec<_> = given.map(|&(key, option, _)| (key, option)).collect();
        OptionNames::new(&given)
    }
}

pub(super) fn run(args: EvaluateArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let monitor = command.monitor();
    args.measures.check()?;
    match (&args.run, &args.embeddings) {
        (_, Some(embeddings)) => evaluate_embeddings(&args, embeddings, monitor),
        (run, None) => {
            let run = run.as_deref().expect("clap requires one of the two");
            evaluate_run(&args, run, monitor)
        }
    }
}

/// Prints the measures: as one JSON object beside the keys of `object`, or under `title`. Writes them to the CSV
/// file, if one is asked for.
fn print_measures(
    args: &EvaluateArgs,
    measured: &Measured<'_>,
    title: &str,
    mut object: Value,
) -> Result<(), CliError> {
    if let Some(path) = &args.measures.csv {
        measured.write_csv(&args.measures, path)?;
    }
    if args.json {
        measured.add_to(&args.measures, &mut object);
        return print_json(object);
    }
    measured.print(&args.measures, title)
}

fn evaluate_embeddings(
    args: &EvaluateArgs,
    path: &Path,
    monitor: Monitor<'_>,
) -> Result<(), CliError> {
    let since = Instant::now();
    let labels = LabelsOption {
        name: "--labels",
        file: args.labels.as_deref(),
    };
    let queries = Embeddings::read(path, labels)?;
    let labels = LabelsOption {
        name: "--gallery-labels",
        file: args.gallery_labels.as_deref(),
    };
    let gallery = args
        .gallery
        .as_deref()
        .map(|path| Embeddings::read(path, labels));
    let gallery = gallery.transpose()?;
    let searched = inference::searched_rows(&queries, gallery.as_ref());
    let defaults = EvaluationConfig::default().recall;
    let recall = match args.recall.is_empty() {
        // One row alone is reported as a gallery without positives.
        true => within(&defaults, searched.max(1)),
        false => args.recall.clone(),
    };
    let task = RetrievalTask {
        queries,
        gallery,
        recall,
        options: args.measures.options(),
        monitor,
    };
    let result = args.device.run(task)??;
    if args.recall.is_empty() {
        warn_left_out(&defaults, searched);
    }
    let title = match &args.gallery {
        Some(gallery) => format!("{} in {}", path.display(), gallery.display()),
        None => path.display().to_string(),
    };
    let object = json!({
        "embeddings": path,
        "gallery": args.gallery,
        "seconds": since.elapsed().as_secs_f64(),
    });
    let measured = Measured {
        measures: &result.measures,
        classes: &result.classes,
    };
    print_measures(args, &measured, &title, object)
}

struct RetrievalTask<'a> {
    queries: Embeddings,
    gallery: Option<Embeddings>,
    /// The K of Recall@K.
    recall: Vec<usize>,
    options: MeasureOptions<'static>,
    monitor: Monitor<'a>,
}

impl BackendTask for RetrievalTask<'_> {
    type Output = Result<RetrievalResult, InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let device = compute.without_gradients().device;
        let (queries, gallery) = (&self.queries, self.gallery.as_ref());
        let options = MeasureOptions {
            recall: &self.recall,
            ..self.options
        };
        inference::retrieval::<B::InnerBackend>(queries, gallery, options, &device, self.monitor)
    }
}

fn evaluate_run(args: &EvaluateArgs, run: &Path, monitor: Monitor<'_>) -> Result<(), CliError> {
    let folder = RunFolder::open(run)?;
    let moved = match &args.root {
        Some(root) => folder.moved(root)?,
        None => Vec::new(),
    };
    let mut config = folder.config(&moved)?;
    check_mirror(args.mirror, &config)?;
    if !args.recall.is_empty() {
        config.evaluation.recall = args.recall.clone();
    }
    if let Some(size) = args.batch_size {
        config.evaluation.batch_size = size;
    }
    config.evaluation.mirror |= args.mirror;
    // A checkpoint that does not exist is reported before the images are read.
    folder.checkpoint(args.checkpoint)?;
    let protocol = folder.record()?.protocol;
    let since = Instant::now();
    let task = EvaluateTask {
        folder,
        config,
        recall_is_given: !args.recall.is_empty(),
        checkpoint: args.checkpoint,
        options: args.measures.options(),
        monitor,
    };
    let Evaluation {
        measures,
        classes,
        epoch,
        skipped,
    } = args.device.run(task)??;
    print_skipped(&skipped);
    let object = json!({
        "run": run,
        "epoch": epoch,
        "protocol": protocol,
        "skipped": skipped.len(),
        "seconds": since.elapsed().as_secs_f64(),
    });
    let title = format!("{} at epoch {epoch}, protocol {protocol}", run.display());
    let measured = Measured {
        measures: &measures,
        classes: &classes,
    };
    print_measures(args, &measured, &title, object)
}

struct EvaluateTask<'a> {
    folder: RunFolder,
    config: Config,
    /// Whether the K of Recall@K were given for this evaluation.
    recall_is_given: bool,
    checkpoint: Checkpoint,
    options: MeasureOptions<'static>,
    monitor: Monitor<'a>,
}

/// The measures of a checkpoint on the test split.
struct Evaluation {
    measures: SplitMeasures,
    /// The names of the classes, by label.
    classes: Vec<String>,
    epoch: usize,
    /// The causes of skipped images.
    skipped: Vec<String>,
}

type EvaluationResult = Result<Evaluation, TrainingError>;

impl BackendTask for EvaluateTask<'_> {
    type Output = EvaluationResult;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> EvaluationResult {
        evaluate_on(&self, &compute.without_gradients())
    }
}

fn evaluate_on<B: Backend>(
    task: &EvaluateTask<'_>,
    compute: &ComputeContext<B>,
) -> EvaluationResult {
    let transform = Transform::new(&task.config.data.transform)?;
    let (cancellation, progress) = (&task.monitor.cancellation(), task.monitor.observer());
    let data = &task.config.data;
    let (test, warnings) = data::open_test(data, &transform, cancellation, progress)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    training::check_feature_dim(&task.config, &test)?;
    let recorded = task.folder.record()?.test;
    let found = SplitSummary::new(&test, task.monitor).map_err(DataError::from)?;
    match (recorded.missing_images(&found), data.loading.broken_images) {
        (Some(count), BrokenImages::Skip) => {
            tracing::warn!(
                "{count} test image(s) are missing since the run began, and are skipped"
            );
        }
        _ => task.folder.check_split("test", &recorded, &found)?,
    }
    check_recall(task, &test)?;
    let (epoch, embedder) =
        training::load_checkpoint(&task.folder, &task.config, task.checkpoint, compute)?;
    let (measures, mut skipped) = training::measure(
        &embedder,
        &task.config,
        &test,
        task.options,
        compute,
        task.monitor,
    )?;
    skipped.extend(test.skipped().iter().map(ToString::to_string));
    Ok(Evaluation {
        measures,
        classes: test.class_names().to_vec(),
        epoch,
        skipped,
    })
}

/// Checks that a query is searched among as many images as each K needs. Others are an error if they were given,
/// and left out with a warning if they are those of the run.
fn check_recall(task: &EvaluateTask<'_>, test: &Split) -> Result<(), SettingError> {
    let ks = &task.config.evaluation.recall;
    let searched = searched_images(test.labels().len(), test.roles());
    match ks.iter().find(|&&k| k > searched) {
        Some(k) if task.recall_is_given => Err(SettingError::Value {
            key: "evaluation.recall".into(),
            value: list(ks),
            reason: format!(
                "Recall@{k} needs {k} neighbours, but a query of the test split is searched among {searched} \
                 image(s); give K up to {searched}"
            ),
        }),
        _ => {
            warn_left_out(ks, searched);
            Ok(())
        }
    }
}
