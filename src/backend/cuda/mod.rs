//! Checks of the requirements of CUDA at run time: the driver, a GPU, the CUDA headers and the
//! compiler NVRTC. CubeCL panics if one is missing.

mod error;
mod toolkit_error;

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
mod panic_text;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod required_files;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod toolkit;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod wheels;

pub use error::CudaError;
pub use toolkit_error::ToolkitError;

#[cfg(feature = "cuda")]
pub(in crate::backend) use driver::device_count;
#[cfg(feature = "cuda")]
pub(super) use driver::{check_device, check_toolkit, devices};
#[cfg(feature = "cuda")]
pub(super) use panic_text::error_from_panic;

/// The environment that a process needs to find the CUDA headers and NVRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaEnvironment {
    /// For the variable `CUDA_PATH`.
    pub cuda_path: std::path::PathBuf,
    /// For the variable `LD_LIBRARY_PATH`, before its other folders.
    pub library_folder: std::path::PathBuf,
}

/// Returns the environment to start this program with, if the CUDA headers and NVRTC are installed
/// but this process does not find them. `None` if the environment is right already, or if CUDA cannot
/// be used.
///
/// CubeCL and the dynamic linker read the variables that a process starts with. Wheels from PyPI have
/// their parts in several folders, which a folder of links in the user's cache folder merges.
pub fn cuda_environment() -> Option<CudaEnvironment> {
    #[cfg(feature = "cuda")]
    if driver::device_count().is_ok()
        && let Err(CudaError::Toolkit(ToolkitError::Environment {
            cuda_path,
            library_folder,
        })) = check_toolkit()
    {
        return Some(CudaEnvironment {
            cuda_path,
            library_folder,
        });
    }
    None
}
