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
        "the CUDA headers or the compiler NVRTC are missing, which CUDA kernels are compiled with; \
         install the CUDA toolkit (default /usr/local/cuda), or in a Python environment: pip install \
         {}", packages.join(" ")
    )]
    Missing {
        /// The wheels to install.
        packages: Vec<String>,
    },
    /// Some of the wheels are installed.
    #[error(
        "{} lacks a part of what CUDA kernels are compiled with; install it with: pip install {}",
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
    /// NVRTC does not know the GPU.
    #[error(
        "the compiler NVRTC does not know the GPU (invalid --gpu-architecture): it is older than the \
         GPU, or no longer supports it; install another version of the CUDA toolkit"
    )]
    UnknownArchitecture,
    /// Headers and NVRTC are in folders that the environment does not name.
    #[error(
        "CUDA's headers and NVRTC are found, but the environment does not name them; start with: \
         CUDA_PATH={} LD_LIBRARY_PATH={}", cuda_path.display(), library_folder.display()
    )]
    Environment {
        /// The folder with `include`.
        cuda_path: PathBuf,
        /// The folder of `libnvrtc.so`.
        library_folder: PathBuf,
    },
    /// The folder of links to the wheels cannot be written.
    #[error("cannot collect CUDA's headers in {}: {reason}", folder.display())]
    LinksUnwritable {
        /// The folder.
        folder: PathBuf,
        /// The system's message.
        reason: String,
    },
}
