//! Kernels of this project for GPUs, where Burn would run a layer as many passes over a map.
//!
//! Each function takes tensors of any backend. On wgpu and CUDA without fusion it launches kernels and returns
//! their result; on any other backend it returns `None`, and the caller computes the same with Burn's
//! operations. Kernels are written once, in CubeCL, for both.

pub mod adam;
pub mod batch_norm;
pub mod depthwise;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod division;
mod launch;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod sum_of_cube;

pub use launch::available;
