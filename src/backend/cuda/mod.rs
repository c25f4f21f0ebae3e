//! What the CUDA backend needs at run time, checked before it starts: the driver, a GPU, the CUDA
//! headers and the compiler NVRTC. CubeCL panics where one is missing.

mod error;

#[cfg(feature = "cuda")]
mod driver;
#[cfg(all(feature = "cuda", target_os = "linux"))]
mod merged_wheels;

// Searches that are pure functions of a machine's files: compiled for every build's tests.
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod machine;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod toolkit;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod wheels;

pub use error::CudaError;

#[cfg(feature = "cuda")]
pub(super) use driver::{check_device, check_toolkit, devices};

/// The environment that a process needs to find the CUDA headers and NVRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaEnvironment {
    /// For the variable `CUDA_PATH`.
    pub cuda_path: std::path::PathBuf,
    /// For the variable `LD_LIBRARY_PATH`, before its other folders.
    pub library_folder: std::path::PathBuf,
}

/// The environment to start this program with, where the CUDA headers and NVRTC are installed and
/// this process does not find them: CubeCL and the dynamic linker read it from the variables that a
/// process starts with. `None` where nothing would change, or CUDA cannot be used at all.
///
/// Wheels from PyPI have their parts in several folders; they are merged in a folder of links in the
/// user's cache folder.
pub fn cuda_environment() -> Option<CudaEnvironment> {
    #[cfg(feature = "cuda")]
    if driver::device_count().is_ok()
        && let Err(CudaError::Environment {
            cuda_path,
            library_folder,
        }) = check_toolkit()
    {
        return Some(CudaEnvironment {
            cuda_path,
            library_folder,
        });
    }
    None
}
