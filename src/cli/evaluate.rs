//! `loop-dml evaluate`.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use serde_json::json;

use super::{DeviceArgs, stop_on_interrupt};
use crate::backend::{self, Job, Place};
use crate::config::Config;
use crate::data::{self, Transform};
use crate::error::Error;
use crate::evaluation::Recall;
use crate::training::{self, Checkpoint, RunFolder, Stop};

const EXAMPLES: &str = "\
Examples:
  loop-dml evaluate artifacts/quickstart-1
  loop-dml evaluate artifacts/quickstart-1 --checkpoint last --recall 1,10,100 --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EvaluateArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Which checkpoint: best (by Recall@1), last, or the number of an epoch.
    #[arg(long, value_name = "best|last|EPOCH", default_value = "best")]
    checkpoint: Checkpoint,
    /// The K of Recall@K; by default those of the run.
    #[arg(long, value_name = "K,…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    recall: Vec<u64>,
    /// Where the run's images lie now, if they were moved.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Images embedded at once; changes speed, never a measure. By default that of the run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// Average the embeddings of each image and its mirror image; by default as in the run.
    #[arg(long)]
    mirror: bool,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: EvaluateArgs) -> Result<(), Error> {
    let folder = RunFolder::open(&args.run)?;
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
    let (recall, skipped) = backend::run(args.device.backend, args.device.device, job)?;
    training::tell_skipped(&skipped);
    let seconds = since.elapsed().as_secs_f64();
    if args.json {
        let object = json!({
            "run": args.run,
            "epoch": epoch,
            "recall": recall.at,
            "queries": recall.queries,
            "skipped": skipped.len(),
            "seconds": seconds,
        });
        println!("{object}");
    } else {
        println!(
            "{} at epoch {epoch}, {} queries",
            args.run.display(),
            recall.queries
        );
        for (k, share) in &recall.at {
            println!("Recall@{k:<5} {:6.2} %", 100.0 * share);
        }
    }
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
