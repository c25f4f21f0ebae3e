//! Benchmarks of the parts of a training on this machine, for `loop-dml bench`.
//!
//! A time is the median of several repetitions after a warm-up. The device is synchronised before and
//! after each repetition.

mod clustering;
mod drawn_embeddings;
mod error;
mod loader;
mod loss;
mod neighbours;
mod photos;
mod step;

use std::path::Path;
use std::time::Instant;

use burn::tensor::backend::Backend;

pub use clustering::ClusteringTiming;
pub use drawn_embeddings::DrawnEmbeddings;
pub use error::BenchError;
pub use loader::{LoaderBenchmark, LoaderTiming};
pub use loss::{LossBenchmark, LossTiming};
pub use neighbours::NeighboursTiming;
pub use step::{StepBenchmark, StepTiming};

use crate::cancellation::Cancelled;
use crate::progress::{Monitor, Task};

/// Repetitions before the first that is timed: caches fill, and GPU kernels are compiled and tuned.
const WARM_UP: usize = 3;

/// Returns the number of times that [`median_ms`] does its work.
fn repetitions(repeats: usize) -> usize {
    WARM_UP + repeats.max(1)
}

/// Returns the median time of `work` over `repeats` repetitions, in milliseconds. Counts them in `task`,
/// outside the time that is measured.
///
/// # Errors
/// If a stop was requested.
fn median_ms<B: Backend>(
    device: &B::Device,
    repeats: usize,
    task: &Task<'_>,
    mut work: impl FnMut(),
) -> Result<f64, Cancelled> {
    let mut times = Vec::new();
    for _ in 0..repetitions(repeats) {
        synchronise::<B>(device);
        let start = Instant::now();
        work();
        synchronise::<B>(device);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        task.advance(1)?;
    }
    Ok(median(&mut times[WARM_UP..]))
}

/// Returns the median of at least one number. Of two numbers in the middle it is the upper one.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Writes `count` photograph-like JPEGs of 500 × 375 pixels to `folder`, as a dataset of type
/// `folder`.
///
/// # Errors
/// If a file cannot be written, or a stop was requested.
pub fn draw_photos(folder: &Path, count: usize, monitor: Monitor<'_>) -> Result<(), BenchError> {
    photos::draw(folder, count, monitor)?.map_err(|source| BenchError::Images {
        folder: folder.into(),
        source,
    })
}

fn synchronise<B: Backend>(device: &B::Device) {
    B::sync(device).expect("a device that works can be synchronised");
}
