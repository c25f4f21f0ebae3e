//! How networks compute matrix products and convolutions.

use std::sync::atomic::{AtomicU8, Ordering};

/// How the matrix products and convolutions of networks are computed on the devices that
/// [have kernels](super::available).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// On matrix units, where the device has them, by one algorithm. Factors in `f32` are rounded to TF32 on NVIDIA
    /// GPUs: to 11 significant bits.
    #[default]
    MatrixUnits,
    /// By threads, in `f32`, for comparisons.
    Exact,
    /// By the fastest of Burn's algorithms, which are compiled and timed at the first product of a kind.
    Autotuned,
}

static ARITHMETIC: AtomicU8 = AtomicU8::new(0);

/// Returns how networks compute in this process.
pub fn arithmetic() -> Arithmetic {
    match ARITHMETIC.load(Ordering::Relaxed) {
        0 => Arithmetic::MatrixUnits,
        1 => Arithmetic::Exact,
        _ => Arithmetic::Autotuned,
    }
}

/// Sets how networks compute in this process from now on.
pub fn set_arithmetic(arithmetic: Arithmetic) {
    let code = match arithmetic {
        Arithmetic::MatrixUnits => 0,
        Arithmetic::Exact => 1,
        Arithmetic::Autotuned => 2,
    };
    ARITHMETIC.store(code, Ordering::Relaxed);
}
