//! The cache of compiled GPU kernels.
//!
//! By default CubeCL compiles CUDA kernels at every start, and writes which kernels are fastest to a
//! `target` folder above the working directory. This module sets both caches to `loop-dml/kernels` in
//! the user's cache folder. CubeCL names an entry by the kernel's type alone, so the name of the
//! folder depends on everything else that determines a kernel: the versions of the crates that
//! generate kernels, the device and, for CUDA, the compiler. A `cubecl.toml`, or a `burn.toml` with a
//! section `cubecl`, in the working directory or above it takes precedence, as in every program that
//! uses CubeCL.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod settings;

use std::path::PathBuf;

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) use settings::{keep_choices, open};

/// The cache of a device's kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelCache {
    /// The folder.
    pub folder: PathBuf,
    /// Whether it is empty, so that the first computations compile and time kernels.
    pub is_empty: bool,
    /// Whether it holds compiled kernels, or only which of them are fastest. CubeCL compiles for CUDA
    /// itself; for wgpu the graphics driver compiles and has its own cache.
    pub keeps_compiled: bool,
}
