//! The errors of the CUDA headers and the compiler NVRTC.

use std::path::PathBuf;

use thiserror::Error;

/// Kernels cannot be compiled for CUDA.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToolkitError {
    /// `CUDA_PATH` is a folder without the headers.
    #[error(
        "CUDA_PATH is {}, which lacks these headers: {}; set it to the folder of a CUDA toolkit, or \
         unset it", path.display(), missing.join(", ")
    )]
    CudaPath {
        /// The value of `CUDA_PATH`.
        path: PathBuf,
        /// Headers that kernels include.
        missing: Vec<&'static str>,
    },
    /// No folder has the headers and NVRTC.
    #[error(
        "CUDA headers or NVRTC are missing; install the CUDA toolkit (default /usr/local/cuda), or in a \
         Python environment: pip install {}", packages.join(" ")
    )]
    Missing {
        /// The wheels to install.
        packages: Vec<String>,
    },
    /// Some of the wheels are installed.
    #[error(
        "the CUDA packages in {} are incomplete; install the missing ones with: pip install {}",
        site.display(), packages.join(" ")
    )]
    IncompleteWheels {
        /// The folder of Python packages.
        site: PathBuf,
        /// The wheels to install.
        packages: Vec<String>,
    },
    /// The headers are found, but not NVRTC.
    #[error(
        "the compiler NVRTC (libnvrtc.so) is missing beside the CUDA headers in {}; add its folder to \
         LD_LIBRARY_PATH, or install the CUDA toolkit", path.display()
    )]
    NoNvrtc {
        /// The folder of the toolkit.
        path: PathBuf,
    },
    /// NVRTC does not compile.
    #[error("the compiler NVRTC fails ({reason}); reinstall the CUDA toolkit")]
    NvrtcFails {
        /// NVRTC's message.
        reason: String,
    },
    /// NVRTC does not support the GPU.
    #[error(
        "the compiler NVRTC does not support this GPU (invalid --gpu-architecture): it is older than the \
         GPU, or no longer supports it; install another version of the CUDA toolkit"
    )]
    UnknownArchitecture,
    /// Headers and NVRTC are not on the search path.
    #[error(
        "CUDA's headers and NVRTC are found, but not on the search path; run with: \
         CUDA_PATH={} LD_LIBRARY_PATH={}", cuda_path.display(), library_folder.display()
    )]
    Environment {
        /// The folder with `include`.
        cuda_path: PathBuf,
        /// The folder of `libnvrtc.so`.
        library_folder: PathBuf,
    },
    /// The folder of links to the wheels cannot be written.
    #[error(
        "cannot collect CUDA's headers in {}: {reason}; check the folder's permissions and free space",
        folder.display()
    )]
    LinksUnwritable {
        /// The folder.
        folder: PathBuf,
        /// The system's message.
        reason: String,
    },
}
