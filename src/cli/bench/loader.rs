//! `loop-dml bench loader`.

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::{OutputArgs, checked_config, print};
use crate::backend::{BackendTask, ComputeContext};
use crate::bench::{BenchError, LoaderBenchmark, LoaderTiming, draw_photos};
use crate::cli::CliError;
use crate::cli::interrupt::CommandMonitor;
use crate::cli::values::{self, MAXIMUM_WORKERS, whole_number};
use crate::progress::Monitor;
use crate::setting::SettingError;
use crate::temporary_files;

#[derive(Debug, Args)]
pub(super) struct LoaderArgs {
    /// Dataset; without --root, a folder of JPEGs of 500 x 375 pixels is generated
    #[arg(long, value_name = "NAME", default_value = "folder", value_parser = values::dataset_of_files())]
    dataset: String,
    /// Folder of the dataset; its training images are loaded
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Number of JPEGs to generate without --root, 40 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 2000, conflicts_with = "root", value_parser = whole_number::<usize>(40..=1_000_000), allow_negative_numbers = true)]
    images: usize,
    /// Number of worker threads; 0 means one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<usize>(..=MAXIMUM_WORKERS), allow_negative_numbers = true)]
    workers: usize,
    /// Approximate number of images in a batch, at least 4
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole_number::<usize>(4..=65_536), allow_negative_numbers = true)]
    batch: usize,
    /// Side of the network's input in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 227, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    size: usize,
    /// Side in pixels that images are resized to before the crop
    #[arg(long, value_name = "PIXELS", default_value_t = 255, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    resize: usize,
    /// Number of passes over all images; the median is printed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole_number::<usize>(1..=65_535), allow_negative_numbers = true)]
    passes: usize,
    /// Backbone whose training steps wait for the images
    #[arg(long, value_name = "NAME", default_value = "conv4", value_parser = values::backbone())]
    backbone: String,
    /// Number of training steps whose waiting time is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole_number::<usize>(..=1_000_000), allow_negative_numbers = true)]
    steps: usize,
    #[command(flatten)]
    output: OutputArgs,
}

impl LoaderArgs {
    pub(super) fn output(&self) -> &OutputArgs {
        &self.output
    }
}

pub(super) fn run(args: LoaderArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    let monitor = command.monitor();
    // Contains the drawn images and the cache, and is removed at the end.
    let folder = tempfile::tempdir().map_err(|source| CliError::Output {
        path: std::env::temp_dir(),
        source,
    })?;
    let _registered = temporary_files::register(folder.path());
    let drawn = folder.path().join("images");
    let config = checked_config(&[
        format!("data.dataset={}", args.dataset),
        format!(
            "data.root={}",
            args.root.as_ref().unwrap_or(&drawn).display()
        ),
        format!("data.image_size={}", args.size),
        format!("data.resize={}", args.resize),
        format!("data.workers={}", args.workers),
        format!("data.cache_dir={}", folder.path().join("cache").display()),
        format!("model.backbone={}", args.backbone),
    ])?;
    if args.root.is_none() && args.dataset != "folder" {
        let reason = format!(
            "give the folder of the dataset {}, for example --root photos",
            args.dataset
        );
        return Err(SettingError::value("data.root", "", reason).into());
    }
    if args.root.is_none() {
        draw_photos(&drawn, args.images, monitor)?;
    }
    let benchmark = LoaderBenchmark {
        config,
        batch: args.batch,
        passes: args.passes,
        steps: args.steps,
    };
    let device = &args.output.device;
    let task = LoaderTask { benchmark, monitor };
    let timing = device.run(task)??;
    print(&args.output, &timing, || text(&timing))
}

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

fn text(timing: &LoaderTiming) -> String {
    let mut lines = vec![
        format!(
            "{} images in batches of {}, {} workers",
            timing.images, timing.batch, timing.workers
        ),
        format!(
            "decoded     {:8.0} images/s ({:.0} for each worker; the first pass {:.0})",
            timing.images_per_second,
            timing.images_per_second_per_worker,
            timing.cold_images_per_second
        ),
        format!(
            "from cache  {:8.0} images/s (built in {:.1} s)",
            timing.cached_images_per_second, timing.cache_seconds
        ),
        format!("batches of an epoch sampled in {:.2} ms", timing.sampler_ms),
        format!(
            "a GPU backend uploads {:.3} MiB per batch",
            timing.upload_bytes as f64 / MIB
        ),
    ];
    if let Some([decoded, cached]) = timing.waiting {
        lines.push(format!(
            "training steps waited {:.1} % of their time, {:.1} % with the cache",
            100.0 * decoded,
            100.0 * cached
        ));
    }
    if let Some(peak) = timing.peak_mib {
        lines.push(format!("peak {peak:.0} MiB while decoding"));
    }
    lines.join("\n")
}

struct LoaderTask<'a> {
    benchmark: LoaderBenchmark,
    monitor: Monitor<'a>,
}

impl BackendTask for LoaderTask<'_> {
    type Output = Result<LoaderTiming, BenchError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        self.benchmark.run::<B>(&compute, self.monitor)
    }
}
