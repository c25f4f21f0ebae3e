//! Queries of the NVIDIA driver and NVRTC, before CubeCL uses them.

use std::fs;

use cudarc::driver::{CudaContext, result};
use cudarc::nvrtc::compile_ptx;

use super::error::CudaError;
use super::panic_text::error_from_panic;
use super::toolkit_error::ToolkitError;
use crate::backend::device_info::DeviceInfo;
use crate::backend::probe::first_line;
use crate::panic_capture::catch_with_texts;

/// Returns the number of devices that the driver shows to this process, at least 1.
///
/// # Errors
///
/// If the driver is missing or fails, or if it shows no device.
pub(in crate::backend) fn device_count() -> Result<usize, CudaError> {
    match query(|| CudaContext::device_count().map_err(|error| format!("{error:?}"))) {
        Ok(count) if count > 0 => Ok(count as usize),
        Ok(_) => Err(CudaError::NoGpu),
        Err(text) => Err(error_from_panic(&text, 0).unwrap_or_else(|| {
            let reason = first_line(&text);
            CudaError::DriverFails { reason }
        })),
    }
}

/// Returns the result of a query, or the text of its error or panic: cudarc panics if a library is
/// missing.
fn query<T>(query: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_with_texts(query).and_then(|result| result)
}

/// Returns the devices in the driver's order, which `CUDA_VISIBLE_DEVICES` changes.
pub(in crate::backend) fn devices() -> Result<Vec<DeviceInfo>, CudaError> {
    let version = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = driver_version(&version).map(|version| format!("NVIDIA {version}"));
    let describe = |index| DeviceInfo {
        index,
        name: name(index),
        memory_bytes: total_memory(index),
        driver: driver.clone(),
    };
    Ok((0..device_count()?).map(describe).collect())
}

fn name(index: usize) -> String {
    let name = query(|| {
        let device = result::device::get(index as i32);
        let name = device.and_then(result::device::get_name);
        name.map_err(|error| format!("{error:?}"))
    });
    name.unwrap_or_else(|_| "NVIDIA GPU".to_string())
}

/// Returns the bytes of the device's memory; `None` if no context can be created on it.
fn total_memory(index: usize) -> Option<u64> {
    let bytes = query(|| {
        let context = CudaContext::new(index);
        let bytes = context.and_then(|context| context.total_mem());
        bytes.map_err(|error| format!("{error:?}"))
    });
    bytes.ok().map(|bytes| bytes as u64)
}

/// Returns the version in the driver's `/proc/driver/nvidia/version`.
fn driver_version(text: &str) -> Option<&str> {
    let (_, after) = text.lines().next()?.split_once("Kernel Module")?;
    after
        .split_whitespace()
        .find(|word| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok()))
}

/// Checks the driver, device `index`, the headers and NVRTC. Returns the device's name and NVRTC's
/// version, on which compiled kernels depend.
pub(in crate::backend) fn check_device(index: usize) -> Result<(String, String), CudaError> {
    if index >= device_count()? {
        return Err(CudaError::NoSuchDevice { index });
    }
    Ok((name(index), check_toolkit()?))
}

/// Checks that CubeCL finds the headers and NVRTC, and returns NVRTC's version.
pub(in crate::backend) fn check_toolkit() -> Result<String, CudaError> {
    let nvrtc = query(|| {
        let compiled = compile_ptx("extern \"C\" __global__ void empty() {}");
        let compiled = compiled.map_err(|error| format!("{error:?}"))?;
        Ok(nvrtc_version(&compiled.to_src()))
    });
    #[cfg(target_os = "linux")]
    {
        use super::machine::Machine;
        use super::toolkit::{self, Toolkit};

        let loads = match &nvrtc {
            Ok(_) => true,
            Err(text) => !text.contains("shared library"),
        };
        let machine = Machine::this();
        let (cuda_path, library_folder) = match toolkit::find(&machine, loads)? {
            Toolkit::Ready => return nvrtc.map_err(nvrtc_fails),
            Toolkit::Elsewhere {
                cuda_path,
                library_folder,
            } => (cuda_path, library_folder),
            Toolkit::Wheels(wheels) => {
                let folder = super::merged_wheels::folder(&machine, &wheels)?;
                (folder.clone(), folder.join("lib"))
            }
        };
        Err(ToolkitError::Environment {
            cuda_path,
            library_folder,
        }
        .into())
    }
    #[cfg(not(target_os = "linux"))]
    nvrtc.map_err(nvrtc_fails)
}

fn nvrtc_fails(text: String) -> CudaError {
    error_from_panic(&text, 0).unwrap_or_else(|| {
        let reason = first_line(&text);
        ToolkitError::NvrtcFails { reason }.into()
    })
}

/// Returns the version in the comments at the head of NVRTC's output.
fn nvrtc_version(ptx: &str) -> String {
    let versions = ptx.lines().take_while(|line| !line.starts_with('.'));
    let mut versions = versions.filter_map(|line| line.split_once(", V"));
    versions
        .next()
        .map_or("unknown", |(_, version)| version.trim())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n";
        assert_eq!(driver_version(open), Some("570.86.15"));
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n";
        assert_eq!(driver_version(closed), Some("550.54.15"));
        assert_eq!(driver_version(""), None);

        let ptx = "//\n// Generated by NVIDIA NVVM Compiler\n// Cuda compilation tools, release 12.9, \
                   V12.9.86\n// Based on NVVM 7.0.1\n\n.version 8.8\n";
        assert_eq!(nvrtc_version(ptx), "12.9.86");
        assert_eq!(nvrtc_version(".version 8.8\n"), "unknown");
    }
}
