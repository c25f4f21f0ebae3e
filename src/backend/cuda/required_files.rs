//! The files that CubeCL compiles CUDA kernels with: headers and NVRTC.

use std::path::{Path, PathBuf};

use super::machine::Machine;

/// Headers that generated kernels include. The second includes the third, which is a separate package
/// on PyPI. The last may be below `cccl`.
pub(super) const HEADERS: [&str; 4] = ["cuda_runtime.h", "mma.h", "crt/mma.h", "cuda/barrier"];

/// Returns the headers that are in none of the folders and their `cccl`.
pub(super) fn missing_headers(machine: &Machine, folders: &[PathBuf]) -> Vec<&'static str> {
    let has = |header: &str| {
        folders.iter().any(|folder| {
            machine.exists(&folder.join(header))
                || machine.exists(&folder.join("cccl").join(header))
        })
    };
    HEADERS.into_iter().filter(|header| !has(header)).collect()
}

/// Whether the folder holds `libnvrtc.so` or `libnvrtc.so.N`, the names that NVRTC is loaded by.
pub(super) fn contains_nvrtc(machine: &Machine, folder: &Path) -> bool {
    machine
        .entries(folder)
        .iter()
        .any(|name| is_nvrtc(name).is_some())
}

/// Returns the major version in a file name of NVRTC: empty for `libnvrtc.so`, `None` for other files.
pub(super) fn is_nvrtc(name: &str) -> Option<&str> {
    let version = name.strip_prefix("libnvrtc.so")?;
    let major = version.strip_prefix('.').unwrap_or(version);
    major.chars().all(|c| c.is_ascii_digit()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_nvrtc_are_recognised() {
        assert_eq!(is_nvrtc("libnvrtc.so"), Some(""));
        assert_eq!(is_nvrtc("libnvrtc.so.12"), Some("12"));
        assert_eq!(is_nvrtc("libnvrtc.so.12.9.86"), None);
        assert_eq!(is_nvrtc("libnvrtc-builtins.so.12.9"), None);
        assert_eq!(is_nvrtc("libnvrtc.alt.so.12"), None);
    }
}
