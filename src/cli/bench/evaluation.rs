//! `loop-dml bench neighbours` and `loop-dml bench clustering`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::{OutputArgs, print};
use crate::backend::{BackendTask, ComputeContext};
use crate::bench::{BenchError, ClusteringTiming, DrawnEmbeddings, NeighboursTiming};
use crate::cli::CliError;
use crate::cli::interrupt::CommandMonitor;
use crate::cli::values::whole_number;
use crate::embedding_file::{Embeddings, LabelsOption};
use crate::progress::Monitor;
use crate::setting::SettingError;

#[derive(Debug, Args)]
pub(super) struct NeighboursArgs {
    #[command(flatten)]
    drawn: EmbeddingsArgs,
    /// Use the embeddings in this file, as `evaluate --embeddings` reads them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "dim", "classes"])]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct ClusteringArgs {
    #[command(flatten)]
    embeddings: EmbeddingsArgs,
    /// Number of iterations; fewer are made if the clusters do not change any more
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole_number::<usize>(1..=65_535), allow_negative_numbers = true)]
    iterations: usize,
    #[command(flatten)]
    output: OutputArgs,
}

/// The embeddings that are drawn. The defaults are the size of Stanford Online Products.
#[derive(Debug, Args)]
struct EmbeddingsArgs {
    /// Number of embeddings, more than classes
    #[arg(long, value_name = "N", default_value_t = 60_502, value_parser = whole_number::<usize>(1..=4_294_967_295), allow_negative_numbers = true)]
    count: usize,
    /// Length of an embedding
    #[arg(long, value_name = "D", default_value_t = 512, value_parser = whole_number::<usize>(1..=65_535), allow_negative_numbers = true)]
    dim: usize,
    /// Number of classes
    #[arg(long, value_name = "C", default_value_t = 11_316, value_parser = whole_number::<usize>(1..=4_294_967_295), allow_negative_numbers = true)]
    classes: usize,
}

impl EmbeddingsArgs {
    fn checked(&self) -> Result<DrawnEmbeddings, CliError> {
        if self.count <= self.classes {
            let least = self.classes.saturating_add(1);
            let reason = format!(
                "give at least {least}, more than one embedding for each class (--classes)"
            );
            return Err(SettingError::value("--count", self.count as i64, reason).into());
        }
        Ok(DrawnEmbeddings {
            count: self.count,
            dim: self.dim,
            classes: self.classes,
        })
    }
}

impl NeighboursArgs {
    pub(super) fn output(&self) -> &OutputArgs {
        &self.output
    }
}

impl ClusteringArgs {
    pub(super) fn output(&self) -> &OutputArgs {
        &self.output
    }
}

pub(super) fn neighbours(args: NeighboursArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let embeddings = match &args.embeddings {
        None => Measured::Drawn(args.drawn.checked()?),
        Some(path) => {
            let labels = LabelsOption {
                name: "--labels of evaluate",
                file: None,
            };
            Measured::File(Embeddings::read(path, labels)?)
        }
    };
    let size = match &embeddings {
        Measured::Drawn(drawn) => size(drawn),
        Measured::File(file) => format!("{} x {}", file.labels.len(), file.dim),
    };
    let task = NeighboursTask {
        embeddings,
        monitor: command.monitor(),
    };
    let timing = args.output.device.run(task)??;
    print(&args.output, &timing, || {
        let recall = timing.recall.iter();
        let recall = recall.map(|(k, share)| format!("R@{k} {:.2} %", 100.0 * share));
        format!(
            "{size}: {:.2} s for the ranks of all positives{}\n{}  MAP@R {:.2} %  R-precision {:.2} %",
            timing.seconds,
            peak(timing.peak_mib),
            recall.collect::<Vec<_>>().join("  "),
            100.0 * timing.map_at_r,
            100.0 * timing.r_precision
        )
    })
}

pub(super) fn clustering(args: ClusteringArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let embeddings = args.embeddings.checked()?;
    let task = ClusteringTask {
        embeddings,
        iterations: args.iterations,
        monitor: command.monitor(),
    };
    let timing = args.output.device.run(task)??;
    print(&args.output, &timing, || {
        let converged = if timing.converged { "" } else { "not " };
        format!(
            "{}: {:.2} s for {} iterations of k-means{}\ninertia {:.6}, {converged}converged, NMI {:.2} %",
            size(&embeddings),
            timing.seconds,
            timing.iterations,
            peak(timing.peak_mib),
            timing.inertia,
            100.0 * timing.nmi
        )
    })
}

fn size(embeddings: &DrawnEmbeddings) -> String {
    let DrawnEmbeddings {
        count,
        dim,
        classes,
    } = embeddings;
    format!("{count} x {dim} of {classes} classes")
}

fn peak(mib: Option<f64>) -> String {
    mib.map(|peak| format!(", peak {peak:.0} MiB"))
        .unwrap_or_default()
}

/// The embeddings that are measured.
enum Measured {
    Drawn(DrawnEmbeddings),
    File(Embeddings),
}

struct NeighboursTask<'a> {
    embeddings: Measured,
    monitor: Monitor<'a>,
}

impl BackendTask for NeighboursTask<'_> {
    type Output = Result<NeighboursTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let device = compute.without_gradients().device;
        match &self.embeddings {
            Measured::Drawn(drawn) => {
                NeighboursTiming::measure::<B::InnerBackend>(drawn, &device, self.monitor)
            }
            Measured::File(file) => {
                NeighboursTiming::measure_file::<B::InnerBackend>(file, &device, self.monitor)
            }
        }
    }
}

struct ClusteringTask<'a> {
    embeddings: DrawnEmbeddings,
    iterations: usize,
    monitor: Monitor<'a>,
}

impl BackendTask for ClusteringTask<'_> {
    type Output = Result<ClusteringTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let device = compute.without_gradients().device;
        ClusteringTiming::measure::<B::InnerBackend>(
            &self.embeddings,
            self.iterations,
            &device,
            self.monitor,
        )
    }
}
