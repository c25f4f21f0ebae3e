//! `loop-dml bench neighbours`.

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::{OutputArgs, print};
use crate::backend::{BackendTask, ComputeContext};
use crate::bench::{BenchError, NeighboursBenchmark, NeighboursTiming};
use crate::cli::CliError;
use crate::cli::interrupt::CommandMonitor;
use crate::progress::Monitor;
use crate::setting::SettingError;

#[derive(Debug, Args)]
pub(super) struct NeighboursArgs {
    /// Number of embeddings, at least that of the classes
    #[arg(long, value_name = "N", default_value_t = 60_502, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Length of an embedding
    #[arg(long, value_name = "D", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..))]
    dim: u16,
    /// Number of classes
    #[arg(long, value_name = "C", default_value_t = 11_316, value_parser = clap::value_parser!(u32).range(1..))]
    classes: u32,
    #[command(flatten)]
    output: OutputArgs,
}

impl NeighboursArgs {
    pub(super) fn output(&self) -> &OutputArgs {
        &self.output
    }
}

pub(super) fn run(args: NeighboursArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    if args.count < args.classes {
        let reason = format!(
            "give at least {}, one embedding for each class (--classes)",
            args.classes
        );
        return Err(SettingError::value("--count", i64::from(args.count), reason).into());
    }
    let benchmark = NeighboursBenchmark {
        count: args.count as usize,
        dim: args.dim.into(),
        classes: args.classes as usize,
    };
    let task = NeighboursTask {
        benchmark: benchmark.clone(),
        monitor: command.monitor(),
    };
    let timing = args.output.device.run(task)??;
    print(&args.output, &timing, || line(&benchmark, &timing))
}

fn line(benchmark: &NeighboursBenchmark, timing: &NeighboursTiming) -> String {
    let memory = match timing.peak_mib {
        Some(peak) => format!(", peak {peak:.0} MiB"),
        None => String::new(),
    };
    let recall = timing.recall.iter();
    let recall: Vec<String> = recall
        .map(|(k, share)| format!("R@{k} {:.2} %", 100.0 * share))
        .collect();
    format!(
        "{} x {} of {} classes: {:.2} s for the ranks of all positives{memory}\n{}  MAP@R {:.2} %  R-precision \
         {:.2} %",
        benchmark.count,
        benchmark.dim,
        benchmark.classes,
        timing.seconds,
        recall.join("  "),
        100.0 * timing.map_at_r,
        100.0 * timing.r_precision
    )
}

struct NeighboursTask<'a> {
    benchmark: NeighboursBenchmark,
    monitor: Monitor<'a>,
}

impl BackendTask for NeighboursTask<'_> {
    type Output = Result<NeighboursTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let device = compute.without_gradients().device;
        self.benchmark.run::<B::InnerBackend>(&device, self.monitor)
    }
}
