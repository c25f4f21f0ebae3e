//! `loop-dml evaluate`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use serde_json::{Value, json};

use super::{DeviceArgs, stop_on_interrupt};
use crate::backend::{Job, Place};
use crate::config::{Config, EvaluationConfig};
use crate::data::{self, Embeddings, Transform};
use crate::embedding;
use crate::error::Error;
use crate::evaluation::Recall;
use crate::training::{self, Checkpoint, RunFolder, Stop};

const EXAMPLES: &str = "\
Examples:
  loop-dml evaluate artifacts/quickstart-1
  loop-dml evaluate artifacts/quickstart-1 --checkpoint last --recall 1,10,100 --json
  loop-dml evaluate --embeddings photos.safetensors
  loop-dml evaluate --embeddings queries.safetensors --gallery shop.safetensors --recall 1,10,20

Rows of an embedding file labelled -1 have no class: they are no queries, but stand in the gallery.
Where queries and gallery both name their classes, as files of `loop-dml embed` do, classes of one
name are the same; else those of one label are.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EvaluateArgs {
    /// Folder of the run.
    #[arg(
        value_name = "RUN",
        required_unless_present = "embeddings",
        conflicts_with = "embeddings"
    )]
    run: Option<PathBuf>,
    /// Instead of a run: embeddings with labels, safetensors; each row is looked for in the others.
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// Look for the embeddings in those of this file instead.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    gallery: Option<PathBuf>,
    /// Which checkpoint: best (by Recall@1), last, or the number of an epoch.
    #[arg(
        long,
        value_name = "best|last|EPOCH",
        default_value = "best",
        conflicts_with = "embeddings"
    )]
    checkpoint: Checkpoint,
    /// The K of Recall@K; by default those of the run.
    #[arg(long, value_name = "K,…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    recall: Vec<u64>,
    /// Where the run's images lie now, if they were moved.
    #[arg(long, value_name = "DIR", conflicts_with = "embeddings")]
    root: Option<PathBuf>,
    /// Images embedded at once; changes speed, never a measure. By default that of the run.
    #[arg(long, value_name = "N", conflicts_with = "embeddings", value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// Average the embeddings of each image and its mirror image; by default as in the run.
    #[arg(long, conflicts_with = "embeddings")]
    mirror: bool,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: EvaluateArgs) -> Result<(), Error> {
    match (&args.run, &args.embeddings) {
        (_, Some(embeddings)) => of_embeddings(&args, embeddings),
        (run, None) => of_run(&args, run.as_deref().expect("clap requires one of the two")),
    }
}

/// Prints what was measured: as one JSON object with the keys of `told`, or under `title`.
fn print(args: &EvaluateArgs, recall: &Recall, title: &str, mut told: Value) {
    if args.json {
        told["recall"] = json!(recall.at);
        told["queries"] = json!(recall.queries);
        println!("{told}");
        return;
    }
    println!("{title}, {} queries", recall.queries);
    for (k, share) in &recall.at {
        println!("Recall@{k:<5} {:6.2} %", 100.0 * share);
    }
}

fn of_embeddings(args: &EvaluateArgs, path: &Path) -> Result<(), Error> {
    let since = Instant::now();
    let queries = Embeddings::read(path)?;
    let gallery = args.gallery.as_deref().map(Embeddings::read).transpose()?;
    let recall = match args.recall.is_empty() {
        true => EvaluationConfig::default().recall,
        false => args.recall.iter().map(|&k| k as usize).collect(),
    };
    let job = RetrievalJob {
        queries,
        gallery,
        recall,
    };
    let recall = args.device.run(job)?;
    let title = match &args.gallery {
        Some(gallery) => format!("{} in {}", path.display(), gallery.display()),
        None => path.display().to_string(),
    };
    let told = json!({
        "embeddings": path,
        "gallery": args.gallery,
        "seconds": since.elapsed().as_secs_f64(),
    });
    print(args, &recall, &title, told);
    Ok(())
}

struct RetrievalJob {
    queries: Embeddings,
    gallery: Option<Embeddings>,
    /// The K of Recall@K.
    recall: Vec<usize>,
}

impl Job for RetrievalJob {
    type Output = Recall;

    fn run<B: AutodiffBackend>(self, place: Place<B>) -> Result<Recall, Error> {
        let device = place.without_gradients().device;
        let (queries, gallery) = (&self.queries, self.gallery.as_ref());
        let recall =
            embedding::retrieval::<B::InnerBackend>(queries, gallery, &self.recall, &device)?;
        Ok(recall)
    }
}

fn of_run(args: &EvaluateArgs, run: &Path) -> Result<(), Error> {
    let folder = RunFolder::open(run)?;
    let moved: Vec<String> = args
        .root
        .iter()
        .map(|root| format!("data.root={}", root.display()))
        .collect();
    let mut config = folder.config(&moved)?;
    if !args.recall.is_empty() {
        config.evaluation.recall = args.recall.iter().map(|&k| k as usize).collect();
    }
    if let Some(size) = args.batch_size {
        config.evaluation.batch_size = size as usize;
    }
    config.evaluation.mirror |= args.mirror;
    let epoch = folder.checkpoint(args.checkpoint)?;
    let since = Instant::now();
    let job = EvaluateJob {
        folder,
        config,
        epoch,
        stop: stop_on_interrupt(),
    };
    let (recall, skipped) = args.device.run(job)?;
    training::tell_skipped(&skipped);
    let told = json!({
        "run": run,
        "epoch": epoch,
        "skipped": skipped.len(),
        "seconds": since.elapsed().as_secs_f64(),
    });
    let title = format!("{} at epoch {epoch}", run.display());
    print(args, &recall, &title, told);
    Ok(())
}

struct EvaluateJob {
    folder: RunFolder,
    config: Config,
    epoch: usize,
    stop: Stop,
}

/// Recall, and what was wrong with the images that were skipped.
type Measured = (Recall, Vec<String>);

impl Job for EvaluateJob {
    type Output = Measured;

    fn run<B: AutodiffBackend>(self, place: Place<B>) -> Result<Measured, Error> {
        measured(&self, &place.without_gradients())
    }
}

fn measured<B: Backend>(job: &EvaluateJob, place: &Place<B>) -> Result<Measured, Error> {
    let transform = Transform::new(&job.config.data.transform)?;
    let interrupted = || job.stop.requested();
    let (test, warnings) = data::open_test(&job.config.data, &transform, &interrupted)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    job.folder.check_split(&test, false)?;
    let embedder = training::embedder_of(&job.folder, &job.config, job.epoch, place)?;
    let (recall, mut skipped) =
        training::measure(&embedder, &job.config, &test, &place.device, &job.stop)?;
    skipped.extend(test.left_out().iter().map(ToString::to_string));
    Ok((recall, skipped))
}
