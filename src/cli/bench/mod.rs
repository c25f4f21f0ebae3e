//! `loop-dml bench`.

mod evaluation;
mod loader;
mod step;

use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::interrupt::CommandMonitor;
use super::option_names::OptionNames;
use super::values::whole_number;
use super::{DeviceArgs, output};
use crate::backend::{BackendTask, ComputeContext};
use crate::bench::{BenchError, LossBenchmark, LossTiming};
use crate::cli::CliError;
use crate::config::Config;
use crate::loss::{LossKind, MAXIMUM_BATCH, pairwise_gib};
use crate::negatives::{LoopAnchors, LoopConfig, LoopPairs, NegativesConfig};
use crate::progress::Monitor;
use crate::setting::SettingError;

const EXAMPLES: &str = "\
Examples:
  loop-dml bench loss --negatives loop --batch 128 --dim 512
  loop-dml bench loss --negatives loop --pairs all --anchors images --images-per-class 4
  loop-dml bench loss --all --batch 1024
  loop-dml bench step --backbone googlenet --batch 8 --size 224 --json
  loop-dml bench step --backbone none --features 768 --batch 128 --dim 512
  loop-dml bench neighbours --count 8131 --classes 98
  loop-dml bench clustering --iterations 10
  loop-dml bench loader --workers 2 --batch 64
  loop-dml bench loader --dataset cub200 --root CUB_200_2011 --steps 0 --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

impl BenchArgs {
    pub(super) fn device(&self) -> &DeviceArgs {
        let output = match &self.command {
            BenchCommand::Loss(args) => &args.output,
            BenchCommand::Step(args) => args.output(),
            BenchCommand::Loader(args) => args.output(),
            BenchCommand::Neighbours(args) => args.output(),
            BenchCommand::Clustering(args) => args.output(),
        };
        &output.device
    }

    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        match &self.command {
            BenchCommand::Loss(_) => OptionNames::new(&[
                ("loss.name", "--loss"),
                ("negatives.name", "--negatives"),
                ("negatives.pairs", "--pairs"),
                ("negatives.anchors", "--anchors"),
                ("model.embedding_dim", "--dim"),
                ("batch.images_per_class", "--images-per-class"),
                ("--images-per-class", "--images-per-class"),
                ("--batch", "--batch"),
            ]),
            BenchCommand::Step(args) => OptionNames::new(&[
                ("model.backbone", "--backbone"),
                ("model.embedding_dim", "--dim"),
                ("data.image_size", "--size"),
                ("data.resize", "--size"),
                ("model.feature_dim", "--features"),
                ("--size", "--size"),
                ("--features", "--features"),
                ("--batch", "--batch"),
            ])
            .without_set(args.set()),
            BenchCommand::Loader(_) => OptionNames::new(&[
                ("data.dataset", "--dataset"),
                ("data.root", "--root"),
                ("data.image_size", "--size"),
                ("data.resize", "--resize"),
                ("data.workers", "--workers"),
                ("model.backbone", "--backbone"),
            ]),
            BenchCommand::Neighbours(_) | BenchCommand::Clustering(_) => {
                OptionNames::new(&[("--count", "--count")])
            }
        }
    }
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Time the forward and backward pass of a loss
    Loss(LossArgs),
    /// Time a training step of a network
    Step(step::StepArgs),
    /// Time loading images, decoded and from the cache
    Loader(loader::LoaderArgs),
    /// Time the retrieval measures of embeddings
    Neighbours(evaluation::NeighboursArgs),
    /// Time k-means of embeddings
    Clustering(evaluation::ClusteringArgs),
}

#[derive(Debug, Args)]
struct LossArgs {
    /// Loss
    #[arg(long, value_name = "NAME", default_value = "hphn-triplet", value_parser = LossKind::NAMES)]
    loss: String,
    /// Negatives strategy
    #[arg(long, value_name = "NAME", default_value = "loop", value_parser = NegativesConfig::NAMES)]
    negatives: String,
    /// Pairs of images of a class, for --negatives loop (default: consecutive, as published)
    #[arg(long, value_name = "NAME", value_parser = LoopPairs::NAMES)]
    pairs: Option<String>,
    /// Anchors, for --negatives loop (default: pairs, as published)
    #[arg(long, value_name = "NAME", value_parser = LoopAnchors::NAMES)]
    anchors: Option<String>,
    /// Time every loss with every negatives strategy
    #[arg(long, conflicts_with_all = ["loss", "negatives", "pairs", "anchors", "images_per_class"])]
    all: bool,
    /// Number of embeddings in the batch, a multiple of --images-per-class, at most 8192
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    batch: usize,
    /// Number of images per class, even unless the negatives do not pair images
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    images_per_class: usize,
    /// Length of an embedding
    #[arg(long, value_name = "D", default_value_t = 512, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    dim: usize,
    /// Number of repetitions; the median is printed
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole_number::<usize>(1..=65_535), allow_negative_numbers = true)]
    repeats: usize,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: BenchArgs) -> Result<(), CliError> {
    match args.command {
        BenchCommand::Loss(args) => loss(args),
        BenchCommand::Step(args) => step::run(args),
        BenchCommand::Loader(args) => loader::run(args),
        BenchCommand::Neighbours(args) => evaluation::neighbours(args),
        BenchCommand::Clustering(args) => evaluation::clustering(args),
    }
}

fn loss(args: LossArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let mut keys = vec![
        format!("loss.name={}", args.loss),
        format!("negatives.name={}", args.negatives),
        format!("model.embedding_dim={}", args.dim),
        format!("batch.images_per_class={}", args.images_per_class),
        format!(
            "batch.classes={}",
            args.batch / args.images_per_class.max(1)
        ),
    ];
    keys.extend(args.pairs.map(|pairs| format!("negatives.pairs={pairs}")));
    keys.extend(
        args.anchors
            .map(|anchors| format!("negatives.anchors={anchors}")),
    );
    let config = Config::parse("", "the command line", &keys)?;
    let paired = config.negatives.pairs_consecutive_rows();
    check_batch_size(args.batch, args.images_per_class, paired)?;
    config.check()?;
    let repeats = args.repeats;
    let benchmarks = if args.all {
        LossBenchmark::all(args.batch, args.dim, repeats)
    } else {
        vec![LossBenchmark {
            space: config.model.space(),
            loss: config.loss.kind,
            negatives: config.negatives,
            batch: args.batch,
            images_per_class: args.images_per_class,
            dim: args.dim,
            repeats,
        }]
    };
    let mut timings = Vec::new();
    for benchmark in benchmarks {
        let device = &args.output.device;
        let task = LossTask {
            benchmark: benchmark.clone(),
            monitor: command.monitor(),
        };
        let timing = device.run(task)??;
        if args.output.json {
            timings.push(LossRecord {
                loss: benchmark.loss.name(),
                negatives: benchmark.negatives.name(),
                variant: benchmark.negatives.variant(),
                timing,
            });
        } else {
            output::print(line(&benchmark, &timing))?;
        }
    }
    if args.output.json {
        match timings.as_slice() {
            [one] if !args.all => output::print(serde_json::json!(one))?,
            all => output::print(serde_json::json!({ "timings": all }))?,
        }
    }
    Ok(())
}

/// One loss's timing as JSON.
#[derive(Serialize)]
struct LossRecord {
    loss: &'static str,
    negatives: &'static str,
    /// The keys of LoOp.
    #[serde(flatten)]
    variant: Option<LoopConfig>,
    #[serde(flatten)]
    timing: LossTiming,
}

/// One loss's timing as a line.
fn line(benchmark: &LossBenchmark, timing: &LossTiming) -> String {
    let memory = match timing.peak_mib {
        Some(peak) => format!(", peak {peak:.0} MiB"),
        None => String::new(),
    };
    format!(
        "{:16} {:19} {:>5} x {:<4} {:9.3} ms forward and backward{memory}",
        benchmark.loss.name(),
        benchmark.negatives.description(),
        benchmark.batch,
        benchmark.dim,
        timing.milliseconds
    )
}

/// Refuses a batch that is not a whole number of classes, or whose loss needs too much memory.
fn check_batch_size(batch: usize, images_per_class: usize, paired: bool) -> Result<(), CliError> {
    if paired && !images_per_class.is_multiple_of(2) || images_per_class < 2 {
        let reason = match paired {
            true => "must be even and at least 2, because these negatives pair images",
            false => "give 2 or more",
        };
        return Err(
            SettingError::value("--images-per-class", images_per_class as i64, reason).into(),
        );
    }
    if batch > MAXIMUM_BATCH {
        let reason = format!(
            "give {MAXIMUM_BATCH} or less: the pairwise matrices of this batch take about {} GiB",
            pairwise_gib(batch)
        );
        return Err(SettingError::value("--batch", batch as i64, reason).into());
    }
    if batch >= 2 * images_per_class && batch.is_multiple_of(images_per_class) {
        return Ok(());
    }
    let reason = format!(
        "give a multiple of {images_per_class}, at least {}",
        2 * images_per_class
    );
    Err(SettingError::value("--batch", batch as i64, reason).into())
}

fn checked_config(overrides: &[String]) -> Result<Config, CliError> {
    let config = Config::parse("", "the command line", overrides)?;
    config.check()?;
    Ok(config)
}

fn print(
    args: &OutputArgs,
    timing: &impl Serialize,
    text: impl Fn() -> String,
) -> Result<(), CliError> {
    if args.json {
        output::print(serde_json::json!(timing))
    } else {
        output::print_lines(text())
    }
}

struct LossTask<'a> {
    benchmark: LossBenchmark,
    monitor: Monitor<'a>,
}

impl BackendTask for LossTask<'_> {
    type Output = Result<LossTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        self.benchmark.run::<B>(&compute.device, self.monitor)
    }
}
