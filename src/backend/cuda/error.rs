//! What keeps the CUDA backend from starting, each with what to do about it.

use std::path::PathBuf;

use thiserror::Error;

/// Why CUDA cannot be used.
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
    /// There is no GPU, or none is visible.
    #[error(
        "the NVIDIA driver finds no GPU (CUDA_ERROR_NO_DEVICE); check nvidia-smi and the variable \
         CUDA_VISIBLE_DEVICES"
    )]
    NoGpu,
    /// `--device` names a GPU that is not there.
    #[error("CUDA has no device {index}; list the devices with: loop-dml devices")]
    NoSuchDevice {
        /// The number asked for.
        index: usize,
    },
    /// `CUDA_PATH` is set to a folder without the headers.
    #[error(
        "CUDA_PATH is {}, where these headers are missing: {}; set it to the folder of a CUDA toolkit, \
         or unset it", path.display(), missing.join(", ")
    )]
    CudaPath {
        /// Its value.
        path: PathBuf,
        /// Headers that kernels include.
        missing: Vec<&'static str>,
    },
    /// No folder holds the headers and NVRTC.
    #[error(
        "the CUDA headers or the compiler NVRTC are missing, which CUDA kernels are compiled with; \
         install the CUDA toolkit (default /usr/local/cuda), or in a Python environment: pip install \
         {}", packages.join(" ")
    )]
    NoToolkit {
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
    /// The headers are found, NVRTC is not.
    #[error(
        "the compiler NVRTC (libnvrtc.so) is missing beside the CUDA headers in {}; add its folder to \
         LD_LIBRARY_PATH, or install the CUDA toolkit", path.display()
    )]
    NoNvrtc {
        /// The folder of the toolkit.
        path: PathBuf,
    },
    /// NVRTC is found and does not compile.
    #[error("the compiler NVRTC fails ({reason}); reinstall the CUDA toolkit")]
    NvrtcFails {
        /// What it reports.
        reason: String,
    },
    /// Headers and NVRTC are found where the process does not look.
    #[error(
        "CUDA's headers and NVRTC are found, and the environment does not name them; start with: \
         CUDA_PATH={} LD_LIBRARY_PATH={}", cuda_path.display(), library_folder.display()
    )]
    Environment {
        /// The folder with `include`.
        cuda_path: PathBuf,
        /// The folder of `libnvrtc.so`.
        library_folder: PathBuf,
    },
    /// The folder of links to the wheels cannot be made.
    #[error("cannot collect CUDA's headers in {}: {reason}", folder.display())]
    LinksUnwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system reports.
        reason: String,
    },
    /// The driver does not know NVRTC's output.
    #[error(
        "the NVIDIA driver is older than the compiler NVRTC (CUDA_ERROR_UNSUPPORTED_PTX_VERSION); \
         update the driver, or install an NVRTC of the CUDA version that nvidia-smi shows, for \
         example: pip install \"nvidia-cuda-nvrtc-cu12==12.4.*\""
    )]
    DriverTooOld,
    /// NVRTC does not know the GPU.
    #[error(
        "the compiler NVRTC does not know the GPU (invalid --gpu-architecture): it is older than the \
         GPU, or no longer supports it; install another version of the CUDA toolkit"
    )]
    UnknownArchitecture,
    /// The GPU's memory is full.
    #[error(
        "no free memory on CUDA device {index} (CUDA_ERROR_OUT_OF_MEMORY); end other programs, which \
         nvidia-smi lists, or choose another --device"
    )]
    OutOfMemory {
        /// The device.
        index: usize,
    },
    /// Another process has the GPU.
    #[error(
        "CUDA device {index} is used by another program in exclusive mode \
         (CUDA_ERROR_DEVICE_UNAVAILABLE); end it, or choose another --device"
    )]
    DeviceBusy {
        /// The device.
        index: usize,
    },
}

impl CudaError {
    /// Whether the machine, not the user's input, is at fault: exit status 1 instead of 2.
    pub fn is_machines(&self) -> bool {
        matches!(self, Self::LinksUnwritable { .. })
    }

    /// What a panic's text, or a driver's error, means on device `index`; `None` for an unknown one.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn from_panic(text: &str, index: usize) -> Option<Self> {
        let has = |name: &str| text.contains(name);
        Some(if has("CUDA_ERROR_UNSUPPORTED_PTX_VERSION") {
            Self::DriverTooOld
        } else if has("CUDA_ERROR_OUT_OF_MEMORY") || has("can't allocate buffer") {
            Self::OutOfMemory { index }
        } else if has("CUDA_ERROR_INVALID_DEVICE") {
            Self::NoSuchDevice { index }
        } else if has("CUDA_ERROR_NO_DEVICE") {
            Self::NoGpu
        } else if has("CUDA_ERROR_DEVICE_UNAVAILABLE") {
            Self::DeviceBusy { index }
        } else if has("invalid value for --gpu-architecture") {
            Self::UnknownArchitecture
        } else if has("the \"cuda\" shared library") {
            Self::NoDriver
        } else if has("the \"nvrtc\" shared library") || has("CUDA installation not found") {
            Self::NoToolkit {
                packages: super::wheels::all_packages(),
            }
        } else {
            let driver = [
                "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
                "CUDA_ERROR_SYSTEM_NOT_READY",
                "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
                "CUDA_ERROR_STUB_LIBRARY",
                "CUDA_ERROR_NOT_INITIALIZED",
                "CUDA_ERROR_MPS_CONNECTION_FAILED",
            ];
            let reason = driver.into_iter().find(|name| has(name))?.to_string();
            Self::DriverFails { reason }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_texts_become_one_message_each() {
        let wrapped = |name: &str| {
            format!(
                "called `Result::unwrap()` on an `Err` value: DriverError({name}, \"text\")\n\n\
                 called `Result::unwrap()` on an `Err` value: RecvError"
            )
        };
        let found = |name: &str| CudaError::from_panic(&wrapped(name), 3).unwrap();
        let ptx = "Unable to load the PTX: DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"the \
                   provided PTX was compiled with an unsupported toolchain.\")";
        assert_eq!(CudaError::from_panic(ptx, 0), Some(CudaError::DriverTooOld));
        let memory = found("CUDA_ERROR_OUT_OF_MEMORY");
        assert_eq!(memory, CudaError::OutOfMemory { index: 3 });
        assert!(memory.to_string().contains("device 3"));
        let buffer =
            "called `Result::unwrap()` on an `Err` value: can't allocate buffer of size: 8388608";
        assert_eq!(CudaError::from_panic(buffer, 3), Some(memory));
        assert_eq!(
            found("CUDA_ERROR_INVALID_DEVICE"),
            CudaError::NoSuchDevice { index: 3 }
        );
        assert_eq!(found("CUDA_ERROR_NO_DEVICE"), CudaError::NoGpu);
        assert_eq!(
            found("CUDA_ERROR_DEVICE_UNAVAILABLE"),
            CudaError::DeviceBusy { index: 3 }
        );
        assert_eq!(
            found("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
            CudaError::DriverFails {
                reason: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH".into()
            }
        );
    }

    #[test]
    fn missing_libraries_are_recognised() {
        let missing = |name: &str| {
            let text = format!(
                "Unable to dynamically load the \"{name}\" shared library - searched for library names: []"
            );
            CudaError::from_panic(&text, 0)
        };
        assert_eq!(missing("cuda"), Some(CudaError::NoDriver));
        assert!(matches!(
            missing("nvrtc"),
            Some(CudaError::NoToolkit { .. })
        ));
        let toolkit = CudaError::from_panic("\n   CUDA installation not found.\n", 0);
        assert!(matches!(toolkit, Some(CudaError::NoToolkit { .. })));
        let architecture = "nvrtc: error: invalid value for --gpu-architecture (-arch)";
        assert_eq!(
            CudaError::from_panic(architecture, 0),
            Some(CudaError::UnknownArchitecture)
        );
    }

    #[test]
    fn unknown_texts_stay_as_they_are() {
        assert_eq!(CudaError::from_panic("index out of bounds", 0), None);
    }
}
