//! Why a backend cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use super::CudaError;

/// A backend that cannot start.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The chosen backend is not in this binary.
    #[error(
        "this binary was built without the backend {asked} (it has {built}); build it with \
         --features {asked}"
    )]
    NotBuilt {
        /// The backend asked for.
        asked: &'static str,
        /// The backends compiled in.
        built: String,
    },
    /// Fusion was asked for where there is none.
    #[error(
        "--fusion is not available on {backend} in this binary: it needs a GPU backend and a binary \
         built with --features fusion"
    )]
    NoFusion {
        /// The backend asked for.
        backend: &'static str,
    },
    /// The backend has no such device, or the device does not work.
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
        /// The mistake.
        reason: String,
    },
}
