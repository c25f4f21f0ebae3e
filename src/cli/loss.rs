//! `loop-dml loss`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};
use clap::Args;
use serde_json::json;

use super::DeviceArgs;
use crate::backend::{Job, Place};
use crate::config::{Config, ConfigError};
use crate::data::{Embeddings, write_matrix};
use crate::error::Error;
use crate::loss::LossStatistics;
use crate::model::unit_length;
use crate::negatives::Space;
use crate::new_file::check_free;

const EXAMPLES: &str = "\
Examples:
  loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop
  loop-dml loss --embeddings batch.safetensors --loss lifted-structure --negatives none \\
      --set loss.margin=1 --set loss.squared_hinge=true --gradients gradient.safetensors --json

The file holds `embeddings` f32 [N, D] and `labels` i64 [N]; the rows of a class are adjacent, an
even number each. Rows are scaled to unit length where training with the loss would scale them
(all losses but n-pair; --set model.normalize=… says otherwise). The gradient is that of the mean
with respect to the rows as given.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LossArgs {
    /// Embeddings with labels, safetensors; the rows are one batch.
    #[arg(long, value_name = "FILE")]
    embeddings: PathBuf,
    /// triplet, hphn-triplet, lifted-structure, n-pair or multi-similarity.
    #[arg(long, value_name = "NAME")]
    loss: String,
    /// none, embedding-expansion or loop.
    #[arg(long, value_name = "NAME")]
    negatives: String,
    /// Set one key of the loss (loss.margin=…) or the negatives, or model.normalize; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write `gradient` f32 [N, D] to this file, safetensors.
    #[arg(long, value_name = "FILE")]
    gradients: Option<PathBuf>,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: LossArgs) -> Result<(), Error> {
    let config = configured(&args)?;
    let names = (config.loss.kind.name(), config.negatives.name());
    if let Some(path) = &args.gradients {
        check_free(path)?;
    }
    let embeddings = Embeddings::read(&args.embeddings)?;
    embeddings.check_batch()?;
    let dim = embeddings.dim;
    let scales = match config.model.space() {
        Space::Sphere => embeddings.reciprocal_lengths()?,
        Space::Euclidean => Vec::new(),
    };
    let job = LossJob {
        embeddings,
        scales,
        config,
        with_gradient: args.gradients.is_some(),
    };
    let (statistics, gradient) = args.device.run(job)?;
    if !statistics.sum.is_finite() {
        return Err(Error::LossNotFinite {
            embeddings: args.embeddings,
        });
    }
    if let (Some(path), Some(gradient)) = (&args.gradients, gradient) {
        write_matrix(path, "gradient", &gradient, dim)?;
    }
    print(args.json, &statistics, names);
    Ok(())
}

/// The configuration of the loss and of the negatives; keys of anything else are refused.
fn configured(args: &LossArgs) -> Result<Config, Error> {
    let mut overrides = vec![
        format!("loss.name={}", args.loss),
        format!("negatives.name={}", args.negatives),
    ];
    overrides.extend_from_slice(&args.set);
    // Misspelt keys are reported as such first.
    let config = Config::parse("", "the command line", &overrides)?;
    config.check()?;
    for text in &args.set {
        let key = text.split('=').next().unwrap_or_default().trim();
        let section = key.split('.').next().unwrap_or_default();
        let known = ["loss", "negatives"].contains(&section) || key == "model.normalize";
        if !known || ["loss.name", "negatives.name", "loss.reduction"].contains(&key) {
            return Err(ConfigError::NotApplicable {
                key: key.to_string(),
                chosen: "`loop-dml loss`, which has --loss and --negatives, their keys and \
                         model.normalize, and prints sum and mean"
                    .into(),
            }
            .into());
        }
    }
    Ok(config)
}

fn print(json: bool, statistics: &LossStatistics, (loss, negatives): (&str, &str)) {
    let active = statistics.active as f64 / statistics.anchors.max(1) as f64;
    if json {
        let object = json!({
            "loss": loss,
            "negatives": negatives,
            "sum": statistics.sum,
            "mean": statistics.mean,
            "anchors": statistics.anchors,
            "active": active,
            "mined": statistics.mined,
            "mean_positive": statistics.mean_positive,
            "mean_negative": statistics.mean_negative,
        });
        println!("{object}");
        return;
    }
    println!("{loss} with negatives {negatives}");
    println!("sum      {:.6}", statistics.sum);
    println!("mean     {:.6}", statistics.mean);
    println!("anchors  {}", statistics.anchors);
    println!("active   {:.2} %", 100.0 * active);
    println!("mined    {}", statistics.mined);
}

struct LossJob {
    embeddings: Embeddings,
    /// 1/|x| of every row, where rows are scaled.
    scales: Vec<f32>,
    config: Config,
    with_gradient: bool,
}

impl Job for LossJob {
    type Output = (LossStatistics, Option<Vec<f32>>);

    fn run<B: AutodiffBackend>(self, place: Place<B>) -> Result<Self::Output, Error> {
        let Embeddings {
            rows, dim, labels, ..
        } = self.embeddings;
        let count = labels.len();
        let rows = TensorData::new(rows, [count, dim]);
        let leaf = Tensor::<B, 2>::from_data(rows, &place.device).require_grad();
        let labels = Tensor::<B, 1, Int>::from_data(class_numbers(&labels), &place.device);
        let space = self.config.model.space();
        let embeddings = match space {
            // Scaled by constants first: networks' outputs need no care for rows whose squares
            // would overflow or vanish.
            Space::Sphere => {
                let scales = TensorData::new(self.scales, [count, 1]);
                unit_length(leaf.clone() * Tensor::<B, 2>::from_data(scales, &place.device))
            }
            Space::Euclidean => leaf.clone(),
        };
        let loss = self.config.loss.kind.init();
        let negatives = self.config.negatives.init();
        let output = loss.forward(negatives.compare(embeddings, labels, space, loss.measure()));
        let statistics = LossStatistics::from_data(output.statistics().into_data())
            .expect("statistics are floats");
        let gradient = self.with_gradient.then(|| {
            let gradient = leaf.grad(&output.mean().backward());
            let gradient = gradient.expect("the loss depends on the embeddings");
            let gradient = gradient.into_data().convert::<f32>().into_vec();
            gradient.expect("just converted")
        });
        Ok((statistics, gradient))
    }
}

/// The classes numbered from 0: labels of any size fit the device's integers.
fn class_numbers(labels: &[i64]) -> TensorData {
    let mut classes = -1;
    let numbers: Vec<i32> = labels
        .chunk_by(|a, b| a == b)
        .flat_map(|class| {
            classes += 1;
            std::iter::repeat_n(classes, class.len())
        })
        .collect();
    TensorData::new(numbers, [labels.len()])
}
