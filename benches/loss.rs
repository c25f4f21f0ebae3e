//! Every loss with every negatives strategy at 128 × 512 and at 1,024 × 512 on the CPU: `cargo bench`.
//! Each line has the median time of a forward and backward pass, and the peak memory of the process
//! during it.

#![allow(clippy::print_stdout, reason = "the output of the benchmark")]

use loop_dml::backend::{
    self, BackendError, BackendName, BackendTask, ComputeContext, DeviceChoice,
};
use loop_dml::bench::{LossBenchmark, LossTiming};
use loop_dml::progress::Monitor;

use burn::tensor::backend::AutodiffBackend;

/// Embeddings in a batch, and the measured repetitions.
const SIZES: [(usize, usize); 2] = [(128, 20), (1024, 3)];
const DIM: usize = 512;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Timed(LossBenchmark);

impl BackendTask for Timed {
    type Output = LossTiming;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> LossTiming {
        let timing = self.0.run::<B>(&compute.device, Monitor::none());
        timing.expect("nothing cancels it")
    }
}

fn main() -> Result<(), BackendError> {
    let cpu = DeviceChoice {
        backend: Some(BackendName::Cpu),
        ..DeviceChoice::default()
    };
    for (batch, repeats) in SIZES {
        for benchmark in LossBenchmark::all(batch, DIM, repeats) {
            let task = Timed(benchmark.clone());
            let timing = backend::run(cpu, task)?;
            println!(
                "{:16} {:19} {batch:>5} x {DIM} {:9.3} ms {:6.0} MiB",
                benchmark.loss.name(),
                benchmark.negatives.name(),
                timing.milliseconds,
                timing.peak_mib.unwrap_or(f64::NAN),
            );
        }
    }
    Ok(())
}
