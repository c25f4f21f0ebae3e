//! `loop-dml loss`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use serde_json::json;

use super::CliError;
use super::interrupt::CommandMonitor;
use super::option_names::OptionNames;
use super::{DeviceArgs, output};
use crate::backend::{BackendTask, ComputeContext};
use crate::config::Config;
use crate::embedding_file::{Embeddings, LabelsOption, MatrixOutput};
use crate::inference::{BatchLoss, InferenceError, batch_loss};
use crate::loss::{LossKind, LossStatistics};
use crate::negatives::{LoopConfig, NegativesConfig};
use crate::setting::SettingError;

const EXAMPLES: &str = "\
The file contains `embeddings` [N, D] and `labels` [N]; for a .npy file, --labels or NAME.labels.npy beside it \
has the labels. The rows of a class are adjacent, and their number is even if the negatives pair images (embedding-expansion, and \
loop without negatives.pairs=all); a batch has at most 8,192 rows, whose pairwise matrices take 8 GiB. Rows are scaled to unit length if training with the loss scales embeddings (every \
loss but n-pair; override with --set model.normalize=…). The gradient is that of the mean loss with \
respect to the rows in the file.

Examples:
  loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop
  loop-dml loss --embeddings batch.safetensors --loss hphn-triplet --negatives loop \\
      --set negatives.pairs=all --set negatives.anchors=images
  loop-dml loss --embeddings batch.npy --labels classes.txt --loss triplet --negatives none --gradients g.npy
  loop-dml loss --embeddings batch.safetensors --loss lifted-structure --negatives none \\
      --set loss.margin=1 --set loss.squared_hinge=true --gradients gradient.safetensors --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LossArgs {
    /// Safetensors, Parquet, .npy or .npz file of embeddings; its rows are one batch
    #[arg(long, value_name = "FILE")]
    embeddings: PathBuf,
    /// Read the labels from this .npy or text file, one for each row, instead of from --embeddings
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Loss
    #[arg(long, value_name = "NAME", value_parser = LossKind::NAMES)]
    loss: String,
    /// Negatives strategy
    #[arg(long, value_name = "NAME", value_parser = NegativesConfig::NAMES)]
    negatives: String,
    /// Set a key of the sections loss and negatives, or model.normalize (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the gradient f32 [N, D] to this .npy file, or as `gradient` to this .safetensors file
    #[arg(long, value_name = "FILE")]
    gradients: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// The options that set configuration keys.
pub(super) fn option_names() -> OptionNames {
    OptionNames::new(&[("loss.name", "--loss"), ("negatives.name", "--negatives")])
}

pub(super) fn run(args: LossArgs) -> Result<(), CliError> {
    let _command = CommandMonitor::install();
    let config = read_config(&args)?;
    let (loss, strategy) = (config.loss.kind.name(), config.negatives.clone());
    let gradients = args
        .gradients
        .as_deref()
        .map(MatrixOutput::new)
        .transpose()?;
    let labels = LabelsOption {
        name: "--labels",
        file: args.labels.as_deref(),
    };
    let embeddings = Embeddings::read(&args.embeddings, labels)?;
    let dim = embeddings.dim;
    let request = BatchLoss {
        space: config.model.space(),
        loss: config.loss.kind,
        negatives: config.negatives,
        with_gradient: gradients.is_some(),
    };
    let task = LossTask {
        embeddings,
        request,
    };
    let (statistics, gradient) = args.device.run(task)??;
    if let (Some(output), Some(gradient)) = (gradients, gradient) {
        output.write("gradient", &gradient, dim)?;
    }
    print(args.json, &statistics, loss, &strategy)
}

/// The configuration of the loss and the negatives. Other keys are refused.
fn read_config(args: &LossArgs) -> Result<Config, CliError> {
    let mut overrides = vec![
        format!("loss.name={}", args.loss),
        format!("negatives.name={}", args.negatives),
    ];
    overrides.extend_from_slice(&args.set);
    // Unknown keys are reported before keys without effect.
    let config = Config::parse("", "the command line", &overrides)?;
    config.check()?;
    for text in &args.set {
        let key = text.split('=').next().unwrap_or_default().trim();
        let section = key.split('.').next().unwrap_or_default();
        let known = ["loss", "negatives"].contains(&section) || key == "model.normalize";
        if !known || ["loss.name", "negatives.name", "loss.reduction"].contains(&key) {
            return Err(SettingError::NotApplicable {
                key: key.to_string(),
                chosen: "`loop-dml loss`, which accepts only keys of [loss] (except loss.reduction) and \
                         [negatives], and model.normalize"
                    .into(),
            }
            .into());
        }
    }
    Ok(config)
}

fn print(
    json: bool,
    statistics: &LossStatistics,
    loss: &str,
    negatives: &NegativesConfig,
) -> Result<(), CliError> {
    let active = statistics.active as f64 / statistics.anchors.max(1) as f64;
    if json {
        let mut object = json!({
            "loss": loss,
            "negatives": negatives.name(),
            "sum": statistics.sum,
            "mean": statistics.mean,
            "anchors": statistics.anchors,
            "active": active,
            "mined": statistics.mined,
            "mean_positive": statistics.mean_positive,
            "mean_negative": statistics.mean_negative,
        });
        if let Some(LoopConfig { pairs, anchors }) = negatives.variant() {
            object["pairs"] = json!(pairs);
            // `anchors` is their number.
            object["anchors_are"] = json!(anchors);
        }
        return output::print(object);
    }
    output::print(format_args!(
        "{loss} with negatives {}",
        negatives.description()
    ))?;
    output::print(format_args!("sum      {:.6}", statistics.sum))?;
    output::print(format_args!("mean     {:.6}", statistics.mean))?;
    output::print(format_args!("anchors  {}", statistics.anchors))?;
    output::print(format_args!("active   {:.2} %", 100.0 * active))?;
    output::print(format_args!("mined    {}", statistics.mined))?;
    Ok(())
}

struct LossTask {
    embeddings: Embeddings,
    request: BatchLoss,
}

impl BackendTask for LossTask {
    type Output = Result<(LossStatistics, Option<Vec<f32>>), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        batch_loss::<B>(&self.embeddings, &self.request, &compute.device)
    }
}
