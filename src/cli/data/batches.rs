//! `loop-dml data batches`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::CliError;
use super::super::output::print_json;
use super::super::values::whole_number;
use crate::config::Config;
use crate::data::{self, DataError, PairSampler};
use crate::progress::Monitor;

const EXAMPLES: &str = "\
Prints one JSON object per batch: epoch and batch, counted from 1, and the names of its images with their labels. These \
are the batches that `loop-dml train` takes with the same configuration, so another program can train on them. \
Augmentation is drawn separately, and images are not read: with data.broken_images=skip, training replaces one that \
cannot be decoded by another of its class.

Examples:
  loop-dml data batches --epochs 2
  loop-dml data batches --config configs/folder.toml --set data.root=photos --epochs 20 > batches.jsonl";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BatchesArgs {
    /// Configuration in TOML [default: the quickstart]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key of the configuration (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Number of epochs [default: training.epochs]
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(1..), allow_negative_numbers = true)]
    epochs: Option<usize>,
}

pub(super) fn run(args: &BatchesArgs, monitor: Monitor<'_>) -> Result<(), CliError> {
    let config = match &args.config {
        Some(path) => Config::load(path, &args.set)?,
        None => Config::quickstart(&args.set)?,
    };
    config.check()?;
    let opened = data::open_uncached(
        &config.data,
        config.hold_out(),
        &monitor.cancellation(),
        monitor.observer(),
    )?;
    let train = opened.uncached().train;
    let labels = train.labels();
    let sampler = PairSampler::new(labels, &config.batch, config.training.seed)?;
    for epoch in 1..=args.epochs.unwrap_or(config.training.epochs) {
        for (position, batch) in sampler.epoch(epoch).into_iter().enumerate() {
            monitor.check().map_err(DataError::from)?;
            let names: Vec<String> = batch.iter().map(|&image| train.image_name(image)).collect();
            let labels: Vec<usize> = batch.iter().map(|&image| labels[image]).collect();
            print_json(json!({
                "epoch": epoch,
                "batch": position + 1,
                "images": names,
                "labels": labels,
            }))?;
        }
    }
    Ok(())
}
