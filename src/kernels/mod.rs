//! Kernels of this project for GPUs, where Burn would run a layer as many passes over a map, and in [`host`] the same for
//! processors.
//!
//! Each function of the other modules takes tensors of any backend. On wgpu and CUDA without fusion it launches kernels and returns
//! their result; on any other backend it returns `None`, and the caller computes the same with Burn's
//! operations. Kernels are written once, in CubeCL, for both. Those of the network take tensors below automatic
//! differentiation; those of the geometry take both, and their results have a gradient.

pub mod adam;
mod arithmetic;
pub mod batch_norm;
pub mod closest_points;
pub mod convolution;
pub mod depthwise;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod differentiable;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod division;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod entry;
pub mod frames;
pub mod host;
pub mod im2col;
mod launch;
mod matmul;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod sum_of_cube;
pub mod windows;

pub use arithmetic::{Arithmetic, arithmetic, set_arithmetic};
pub use launch::{available, available_with_gradient};
pub use matmul::{matmul, matmul_tf32, sum_of_products};
