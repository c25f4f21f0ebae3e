//! Compares every compiled backend, with and without fusion, with `f64` on the host: values, gradients
//! and counts.
//!
//! ```text
//! cargo test --release --features wgpu,fusion --test backends
//! cargo test --release --features wgpu --test backends -- wgpu::losses
//! LOOP_DML_FULL=1 cargo test --release --features cuda,fusion --test backends -- cuda
//! ```
//!
//! `LOOP_DML_FULL=1` runs every combination of sizes, every convolution of every backbone, and a step
//! of GoogLeNet: minutes on a GPU, hours on a software driver.
//!
//! Tests run one after the other in one process and in a fixed order, so that later tests run with the
//! kernels and fused blocks that earlier tests have cached.

mod curves;
mod data;
mod frames;
mod images;
mod kernels;
mod layers;
mod losses;
mod measures;
mod neighbours;
mod network;
mod precision;
mod ranks;
mod state;
mod training;

use burn::tensor::backend::{AutodiffBackend, Backend};
use libtest_mimic::{Arguments, Failed, Trial};
use loop_dml::kernels::{Arithmetic, set_arithmetic};

/// Whether to run every combination.
fn full() -> bool {
    std::env::var("LOOP_DML_FULL").is_ok_and(|value| value == "1")
}

/// Runs `compute` without TF32, whose roundings grow through a network until only large errors are seen.
fn exactly<T>(compute: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            set_arithmetic(Arithmetic::default());
        }
    }
    let _reset = Reset;
    set_arithmetic(Arithmetic::Exact);
    compute()
}

/// The differences that a test found.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    compared: usize,
}

impl Findings {
    /// The largest number of differences in a message.
    const SHOWN: usize = 12;

    /// Records a difference, described by `what`, unless `right`.
    fn check(&mut self, right: bool, what: impl FnOnce() -> String) {
        self.compared += 1;
        if !right {
            self.wrong.push(what());
        }
    }

    fn result(self) -> Result<(), Failed> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let shown = self.wrong.iter().take(Self::SHOWN);
        let shown: Vec<&str> = shown.map(String::as_str).collect();
        Err(format!(
            "{} of {} comparisons are wrong:\n{}",
            self.wrong.len(),
            self.compared,
            shown.join("\n")
        )
        .into())
    }
}

/// Adds the tests of the parts on one backend.
fn of_parts<AB: AutodiffBackend>(name: &str, trials: &mut Vec<Trial>) {
    curves::trials::<AB>(name, trials);
    frames::trials::<AB>(name, trials);
    losses::trials::<AB>(name, trials);
    ranks::trials::<AB::InnerBackend>(name, trials);
    measures::trials::<AB::InnerBackend>(name, trials);
    neighbours::trials::<AB::InnerBackend>(name, trials);
    layers::trials::<AB>(name, trials);
    images::trials::<AB::InnerBackend>(name, trials);
    kernels::trials::<AB::InnerBackend>(name, trials);
}

/// Adds the tests of the parts, of whole networks and of training. Fused backends run the parts and the tests
/// of a training's state only, to save minutes of compilation; `.ci/run` and scripts/gpu_check compare their
/// training on the command line.
fn of<AB: AutodiffBackend>(name: &str, trials: &mut Vec<Trial>) {
    of_parts::<AB>(name, trials);
    network::trials::<AB>(name, trials);
    training::trials::<AB>(name, trials);
    images::network_trials::<AB::InnerBackend>(name, trials);
    precision::trials::<AB>(name, trials);
    state::trials::<AB>(name, trials);
}

fn main() {
    use burn::backend::Autodiff;

    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    of::<Autodiff<loop_dml::backend::Cpu>>("cpu", &mut trials);
    #[cfg(feature = "wgpu")]
    of::<Autodiff<loop_dml::backend::Wgpu>>("wgpu", &mut trials);
    #[cfg(all(feature = "wgpu", feature = "fusion"))]
    {
        of_parts::<Autodiff<loop_dml::backend::FusedWgpu>>("wgpu-fusion", &mut trials);
        state::trials::<Autodiff<loop_dml::backend::FusedWgpu>>("wgpu-fusion", &mut trials);
    }
    #[cfg(feature = "cuda")]
    of::<Autodiff<loop_dml::backend::Cuda>>("cuda", &mut trials);
    #[cfg(all(feature = "cuda", feature = "fusion"))]
    {
        of_parts::<Autodiff<loop_dml::backend::FusedCuda>>("cuda-fusion", &mut trials);
        state::trials::<Autodiff<loop_dml::backend::FusedCuda>>("cuda-fusion", &mut trials);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Copies the values of a tensor to the host.
fn values<B: Backend, const D: usize>(tensor: burn::tensor::Tensor<B, D>) -> Vec<f64> {
    let data = tensor.into_data().convert::<f64>();
    data.into_vec().expect("converted to f64")
}

/// Returns |actual − expected| over the larger of |expected| and `least`.
fn relative_error(actual: &[f64], expected: &[f64], least: f64) -> f64 {
    let lengths = (actual.len(), expected.len());
    let length = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let difference = length(&mut actual.iter().zip(expected).map(|(a, e)| a - e));
    let expected = length(&mut expected.iter().copied());
    if difference.is_nan() || lengths.0 != lengths.1 {
        return f64::INFINITY;
    }
    difference / expected.max(least)
}
