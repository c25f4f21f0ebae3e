//! `loop-dml bench step`.

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::{OutputArgs, check_batch_size, checked_config, print};
use crate::backend::{BackendTask, ComputeContext};
use crate::bench::{BenchError, StepBenchmark, StepTiming};
use crate::cli::CliError;
use crate::cli::interrupt::CommandMonitor;
use crate::cli::values::{self, whole_number};
use crate::model::config::Backbone;
use crate::progress::Monitor;
use crate::setting::SettingError;

/// Side of an image, unless given.
const IMAGE_SIZE: usize = 224;
/// Number of features, unless given: those of EfficientNet-Lite0.
const FEATURES: usize = 1280;

#[derive(Debug, Args)]
pub(super) struct StepArgs {
    /// Backbone; none times a head on features
    #[arg(long, value_name = "NAME", default_value = "googlenet", value_parser = values::backbone_or_none())]
    backbone: String,
    /// Number of images or rows of features in the batch, even, from 4 to 8192; two per class
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    batch: usize,
    /// Side of an image in pixels [default: 224]
    #[arg(long, value_name = "PIXELS", value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    size: Option<usize>,
    /// Number of features of a row, with --backbone none [default: 1280]
    #[arg(long, value_name = "F", value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    features: Option<usize>,
    /// Length of an embedding
    #[arg(long, value_name = "D", default_value_t = 512, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    dim: usize,
    /// Set a configuration key, such as training.gradient_checkpointing=true (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Number of repetitions; the median is printed
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = whole_number::<usize>(1..=65_535), allow_negative_numbers = true)]
    repeats: usize,
    #[command(flatten)]
    output: OutputArgs,
}

impl StepArgs {
    pub(super) fn output(&self) -> &OutputArgs {
        &self.output
    }

    /// The configuration keys that are set.
    pub(super) fn set(&self) -> &[String] {
        &self.set
    }
}

pub(super) fn run(args: StepArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    check_batch_size(args.batch, 2, true)?;
    let mut overrides = vec![
        format!("model.backbone={}", args.backbone),
        format!("model.embedding_dim={}", args.dim),
        "batch.images_per_class=2".to_string(),
        format!("batch.classes={}", args.batch / 2),
    ];
    overrides.extend(input(&args)?);
    overrides.extend(args.set);
    let config = checked_config(&overrides)?;
    let images = config.batch.classes * config.batch.images_per_class;
    let (subject, row) = match config.model.backbone {
        Backbone::None => {
            let features = config.model.feature_dim.unwrap_or_default();
            (
                format!("head on {images} rows of {features} features"),
                "row",
            )
        }
        backbone => {
            let side = config.data.transform.image_size;
            let subject = format!("{backbone} on {images} images of {side}x{side}");
            (subject, "image")
        }
    };
    let benchmark = StepBenchmark {
        config,
        repeats: args.repeats,
    };
    let monitor = command.monitor();
    let timing = args.output.device.run(StepTask { benchmark, monitor })??;
    print(&args.output, &timing, || text(&timing, &subject, row))
}

/// The configuration keys of the input of the network: images of a side, or features.
fn input(args: &StepArgs) -> Result<Vec<String>, SettingError> {
    match (
        args.backbone == Backbone::None.name(),
        args.size,
        args.features,
    ) {
        (true, Some(size), _) => Err(SettingError::value(
            "--size",
            size as i64,
            "--backbone none takes features instead of images; give their number with --features",
        )),
        (true, None, features) => Ok(vec![
            "data.dataset=embeddings".to_string(),
            // No file is read.
            "data.root=noise".to_string(),
            format!("model.feature_dim={}", features.unwrap_or(FEATURES)),
        ]),
        (false, _, Some(features)) => Err(SettingError::value(
            "--features",
            features as i64,
            "a backbone takes images; give their side with --size, or set --backbone none",
        )),
        (false, size, None) => {
            let size = size.unwrap_or(IMAGE_SIZE);
            Ok(vec![
                format!("data.image_size={size}"),
                format!("data.resize={size}"),
            ])
        }
    }
}

/// The text of the timing of `subject`, whose batch consists of rows or images: `row` is "row" or "image".
fn text(timing: &StepTiming, subject: &str, row: &str) -> String {
    let StepTiming {
        step_ms,
        training_forward_ms,
        backward_ms,
        optimizer_ms,
        forward_ms,
        images_per_second,
        forward_gflop,
        backward_gflop,
        training_forward_gflop_per_second,
        backward_gflop_per_second,
        forward_gflop_per_second,
        upload_bytes,
        activation_mib_per_image,
        peak_mib,
    } = *timing;
    let memory = match (activation_mib_per_image, peak_mib) {
        (Some(activation), Some(peak)) => {
            format!("{activation:.1} MiB per {row} in the forward pass, peak {peak:.0} MiB")
        }
        _ => "not available for this backend or system".to_string(),
    };
    let uploaded = match upload_bytes {
        0 => "nothing".to_string(),
        bytes => format!("{:.3} MiB per step", bytes as f64 / 1_048_576.0),
    };
    [
        format!(
            "{subject}: step {step_ms:.1} ms ({images_per_second:.1} {row}s/s)"
        ),
        format!(
            "training: forward {training_forward_ms:.1} ms, backward {backward_ms:.1} ms, optimiser \
             {optimizer_ms:.1} ms; evaluation: forward {forward_ms:.1} ms"
        ),
        format!(
            "arithmetic: forward {forward_gflop:.2} GFLOP at {training_forward_gflop_per_second:.1} GFLOP/s, \
             backward {backward_gflop:.2} GFLOP at {backward_gflop_per_second:.1} GFLOP/s; evaluation: \
             {forward_gflop_per_second:.1} GFLOP/s"
        ),
        format!("uploaded: {uploaded}"),
        format!("memory: {memory}"),
    ]
    .join("\n")
}

struct StepTask<'a> {
    benchmark: StepBenchmark,
    monitor: Monitor<'a>,
}

impl BackendTask for StepTask<'_> {
    type Output = Result<StepTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        self.benchmark.run::<B>(&compute, self.monitor)
    }
}
