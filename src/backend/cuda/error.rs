//! The errors of starting CUDA.

use thiserror::Error;

use super::toolkit_error::ToolkitError;

/// CUDA cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CudaError {
    /// The driver's library cannot be loaded.
    #[error(
        "the NVIDIA driver is missing (libcuda.so.1 cannot be loaded); install it, start a container \
         with --gpus all, or choose --backend wgpu or cpu"
    )]
    NoDriver,
    /// The driver's library does not start.
    #[error("the NVIDIA driver does not start ({reason}); check that nvidia-smi works")]
    DriverFails {
        /// CUDA's name for the failure.
        reason: String,
    },
    /// The machine has no GPU, or none is visible.
    #[error(
        "the NVIDIA driver finds no GPU (CUDA_ERROR_NO_DEVICE); check nvidia-smi and the variable \
         CUDA_VISIBLE_DEVICES"
    )]
    NoGpu,
    /// `--device` is larger than the number of the last GPU.
    #[error("CUDA has no device {index}; list the devices with: loop-dml devices")]
    NoSuchDevice {
        /// The number of the device.
        index: usize,
    },
    /// The headers or the compiler cannot be used.
    #[error(transparent)]
    Toolkit(#[from] ToolkitError),
    /// The driver cannot load NVRTC's output.
    #[error(
        "the NVIDIA driver is older than the compiler NVRTC (CUDA_ERROR_UNSUPPORTED_PTX_VERSION); \
         update the driver, or install an NVRTC of the CUDA version that nvidia-smi shows, for \
         example: pip install \"nvidia-cuda-nvrtc-cu12==12.4.*\""
    )]
    DriverTooOld,
    /// The GPU's memory is full.
    #[error(
        "no free memory on CUDA device {index} (CUDA_ERROR_OUT_OF_MEMORY); end other programs, which \
         nvidia-smi lists, or choose another --device"
    )]
    OutOfMemory {
        /// The number of the device.
        index: usize,
    },
    /// Another process uses the GPU exclusively.
    #[error(
        "CUDA device {index} is used by another program in exclusive mode \
         (CUDA_ERROR_DEVICE_UNAVAILABLE); end it, or choose another --device"
    )]
    DeviceBusy {
        /// The number of the device.
        index: usize,
    },
}

impl CudaError {
    /// Whether the machine, not the user's input, is at fault: exit status 1 instead of 2.
    pub fn is_machine_error(&self) -> bool {
        matches!(self, Self::Toolkit(ToolkitError::LinksUnwritable { .. }))
    }
}
