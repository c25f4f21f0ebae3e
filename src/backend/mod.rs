//! The backends: the only module that names concrete ones.
//!
//! [`prepare()`] checks that a backend can start and sets the cache of its kernels. [`Prepared::run`]
//! runs a [`BackendTask`] on it: a computation that is generic over Burn's `Backend` and receives the
//! device in a [`ComputeContext`]. [`report()`] tests every device of every backend.
//!
//! # Device numbers
//!
//! `--device` counts on `cuda` as the driver does. On `wgpu` it counts discrete GPUs first, then
//! integrated, virtual and other ones, and a software driver last. On `cpu` the only device is 0.

#[cfg(feature = "wgpu")]
mod adapters;
mod choice;
mod concrete;
mod cuda;
mod device_info;
mod error;
mod kernel_cache;
mod precision;
mod prepare;
mod probe;
#[cfg(feature = "cpu")]
mod processor;
mod report;
mod task;

pub use choice::{BackendName, DeviceChoice};
#[cfg(feature = "cpu")]
pub use concrete::Cpu;
#[cfg(feature = "cuda")]
pub use concrete::Cuda;
#[cfg(all(feature = "cuda", feature = "fusion"))]
pub use concrete::FusedCuda;
#[cfg(all(feature = "wgpu", feature = "fusion"))]
pub use concrete::FusedWgpu;
#[cfg(feature = "wgpu")]
pub use concrete::Wgpu;
pub use cuda::{CudaEnvironment, CudaError, ToolkitError, cuda_environment};
pub use device_info::DeviceInfo;
pub use error::BackendError;
pub use kernel_cache::KernelCache;
pub use prepare::{Prepared, device_count, prepare, run};
pub use report::{BackendReport, DeviceReport, ProbeResult, report};
pub use task::{BackendTask, ComputeContext};
