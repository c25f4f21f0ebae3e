//! The errors in the panics of CUDA's crates, which panic instead of returning errors.

use super::error::CudaError;
use super::toolkit_error::ToolkitError;
use super::wheels::all_packages;

/// Returns the error that a panic's text, or a driver's error, reports about device `index`; `None`
/// if the text is unknown.
pub(in crate::backend) fn error_from_panic(text: &str, index: usize) -> Option<CudaError> {
    let has = |name: &str| text.contains(name);
    Some(if has("CUDA_ERROR_UNSUPPORTED_PTX_VERSION") {
        CudaError::DriverTooOld
    } else if has("CUDA_ERROR_OUT_OF_MEMORY") || has("can't allocate buffer") {
        CudaError::OutOfMemory { index }
    } else if has("CUDA_ERROR_INVALID_DEVICE") {
        CudaError::NoSuchDevice { index }
    } else if has("CUDA_ERROR_NO_DEVICE") {
        CudaError::NoGpu
    } else if has("CUDA_ERROR_DEVICE_UNAVAILABLE") {
        CudaError::DeviceBusy { index }
    } else if has("invalid value for --gpu-architecture") {
        ToolkitError::UnknownArchitecture.into()
    } else if has("the \"cuda\" shared library") {
        CudaError::NoDriver
    } else if has("the \"nvrtc\" shared library") || has("CUDA installation not found") {
        ToolkitError::Missing {
            packages: all_packages(),
        }
        .into()
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
        CudaError::DriverFails { reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_texts_become_errors() {
        let wrapped = |name: &str| {
            format!(
                "called `Result::unwrap()` on an `Err` value: DriverError({name}, \"text\")\n\n\
                 called `Result::unwrap()` on an `Err` value: RecvError"
            )
        };
        let found = |name: &str| error_from_panic(&wrapped(name), 3).unwrap();
        let ptx = "Unable to load the PTX: DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"the \
                   provided PTX was compiled with an unsupported toolchain.\")";
        assert_eq!(error_from_panic(ptx, 0), Some(CudaError::DriverTooOld));
        let memory = found("CUDA_ERROR_OUT_OF_MEMORY");
        assert_eq!(memory, CudaError::OutOfMemory { index: 3 });
        assert!(memory.to_string().contains("device 3"));
        let buffer =
            "called `Result::unwrap()` on an `Err` value: can't allocate buffer of size: 8388608";
        assert_eq!(error_from_panic(buffer, 3), Some(memory));
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
            error_from_panic(&text, 0)
        };
        assert_eq!(missing("cuda"), Some(CudaError::NoDriver));
        assert!(matches!(
            missing("nvrtc"),
            Some(CudaError::Toolkit(ToolkitError::Missing { .. }))
        ));
        let toolkit = error_from_panic("\n   CUDA installation not found.\n", 0);
        assert!(matches!(
            toolkit,
            Some(CudaError::Toolkit(ToolkitError::Missing { .. }))
        ));
        let architecture = "nvrtc: error: invalid value for --gpu-architecture (-arch)";
        assert_eq!(
            error_from_panic(architecture, 0),
            Some(ToolkitError::UnknownArchitecture.into())
        );
    }

    #[test]
    fn unknown_texts_are_no_error() {
        assert_eq!(error_from_panic("index out of bounds", 0), None);
    }
}
