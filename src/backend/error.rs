//! The errors of starting a backend.

use std::path::PathBuf;

use thiserror::Error;

use super::cuda::CudaError;

/// A backend cannot start.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The name is not a backend's.
    #[error("unknown backend `{name}`; choose cuda, wgpu or cpu")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The chosen backend is not compiled into this binary.
    #[error(
        "this binary was built without the backend {asked} (it has {built}); build it with \
         --features {asked}"
    )]
    NotBuilt {
        /// The chosen backend.
        asked: &'static str,
        /// The backends compiled in.
        built: String,
    },
    /// The backend or the binary has no fusion.
    #[error(
        "--fusion is not available on {backend} in this binary: it needs a GPU backend and a binary \
         built with --features fusion"
    )]
    NoFusion {
        /// The chosen backend.
        backend: &'static str,
    },
    /// The processor has nothing to time.
    #[error("--autotune is for GPU backends; choose one with --backend, or leave out --autotune")]
    NoAutotuning,
    /// The device does not exist or does not work.
    #[error(
        "{backend} cannot use device {index} ({reason}); choose another with --device or --backend"
    )]
    Device {
        /// The backend.
        backend: &'static str,
        /// The number of the device.
        index: usize,
        /// The driver's message.
        reason: String,
    },
    /// CUDA cannot start.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// The user's settings of the kernel cache are malformed.
    #[error("{} is not a valid configuration of CubeCL: {reason}", path.display())]
    KernelSettings {
        /// The file, `cubecl.toml` or `burn.toml`.
        path: PathBuf,
        /// The parser's message.
        reason: String,
    },
}
