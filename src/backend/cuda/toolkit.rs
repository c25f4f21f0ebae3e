//! Finds the CUDA headers and NVRTC, which CubeCL compiles kernels with.
//!
//! CubeCL 0.10 takes headers from `$CUDA_PATH/include`, else `/usr/local/cuda/include`,
//! `/opt/cuda/include`, or `/usr/include` if `/usr/bin/nvcc` exists, and from the same folder's
//! `cccl`. It uses the first of these that exists, whether or not the headers are in it. The dynamic
//! linker finds NVRTC by its name. This module also searches other toolkits and NVIDIA's wheels on
//! PyPI.

use std::path::{Path, PathBuf};

use super::machine::Machine;
use super::required_files::{contains_nvrtc, missing_headers};
use super::toolkit_error::ToolkitError;
use super::wheels::{self, Wheels};

/// Folders of a toolkit that NVRTC may be in.
const LIBRARY_FOLDERS: [&str; 4] = [
    "lib64",
    "lib",
    "lib/x86_64-linux-gnu",
    "targets/x86_64-linux/lib",
];

/// The location of headers and NVRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Toolkit {
    /// In the folders that this process searches.
    Ready,
    /// In a toolkit's folder that the environment must name.
    Elsewhere {
        /// For `CUDA_PATH`.
        cuda_path: PathBuf,
        /// For `LD_LIBRARY_PATH`.
        library_folder: PathBuf,
    },
    /// In wheels, whose folders must be merged first.
    Wheels(Wheels),
}

/// Finds headers and NVRTC. `nvrtc_loads` is whether this process can load NVRTC by its name.
///
/// A folder named by `CUDA_PATH` is the user's choice: if it is incomplete, no other is used.
///
/// # Errors
///
/// If a part is missing, with the parts to install.
pub(super) fn find(machine: &Machine, nvrtc_loads: bool) -> Result<Toolkit, ToolkitError> {
    let used = cubecl_path(machine);
    let chosen = machine.variable("CUDA_PATH").is_some();
    if let Some(path) = &used {
        let missing = missing_headers(machine, &[path.join("include")]);
        let library_folder = nvrtc_folder(machine, path);
        match (missing.is_empty(), nvrtc_loads, library_folder) {
            (true, true, _) => return Ok(Toolkit::Ready),
            (true, false, Some(library_folder)) => {
                return Ok(Toolkit::Elsewhere {
                    cuda_path: path.clone(),
                    library_folder,
                });
            }
            (true, false, None) if chosen => {
                return Err(ToolkitError::NoNvrtc { path: path.clone() });
            }
            (false, ..) if chosen => {
                let path = path.clone();
                return Err(ToolkitError::CudaPath { path, missing });
            }
            _ => {}
        }
    }
    for cuda_path in other_toolkits(machine) {
        let complete = missing_headers(machine, &[cuda_path.join("include")]).is_empty();
        if let (true, Some(library_folder)) = (complete, nvrtc_folder(machine, &cuda_path)) {
            return Ok(Toolkit::Elsewhere {
                cuda_path,
                library_folder,
            });
        }
    }
    wheels::find(machine).map(Toolkit::Wheels)
}

/// Returns the folder that CubeCL 0.10 uses on Linux (`cubecl_cuda::install::cuda_path`).
fn cubecl_path(machine: &Machine) -> Option<PathBuf> {
    if let Some(path) = machine.folder("CUDA_PATH") {
        return Some(path);
    }
    for folder in ["/usr/local/cuda", "/opt/cuda"] {
        if machine.exists(Path::new(folder)) {
            return Some(PathBuf::from(folder));
        }
    }
    let nvcc = machine.exists(Path::new("/usr/bin/nvcc"));
    nvcc.then(|| PathBuf::from("/usr"))
}

/// Returns the toolkit's folder that holds NVRTC.
fn nvrtc_folder(machine: &Machine, toolkit: &Path) -> Option<PathBuf> {
    let folders = LIBRARY_FOLDERS.iter().map(|name| toolkit.join(name));
    folders
        .into_iter()
        .find(|folder| contains_nvrtc(machine, folder))
}

/// Returns the folders of toolkits that CubeCL does not search: those of other variables, of `nvcc`
/// on the `PATH`, of versions in `/usr/local` (the newest first), and conda's.
fn other_toolkits(machine: &Machine) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["CUDA_HOME", "CUDA_ROOT"]
        .into_iter()
        .filter_map(|name| machine.folder(name))
        .collect();
    for folder in machine.search_path() {
        if machine.exists(&folder.join("nvcc")) {
            folders.extend(folder.parent().map(Path::to_path_buf));
        }
    }
    let mut versions: Vec<(Vec<u32>, PathBuf)> = machine
        .entries(Path::new("/usr/local"))
        .iter()
        .filter_map(|name| {
            let version = name.strip_prefix("cuda-")?.split('.');
            let version = version.map(str::parse).collect::<Result<_, _>>().ok()?;
            Some((version, Path::new("/usr/local").join(name)))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    if let Some(conda) = machine.folder("CONDA_PREFIX") {
        folders.push(conda.join("targets/x86_64-linux"));
        folders.push(conda);
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::super::required_files::HEADERS;
    use super::*;

    fn toolkit(at: &str) -> Vec<String> {
        let mut files: Vec<String> = HEADERS
            .iter()
            .map(|header| format!("{at}/include/{header}"))
            .collect();
        files.push(format!("{at}/lib64/libnvrtc.so.12"));
        files
    }

    fn found(
        files: &[String],
        variables: &[(&str, &str)],
        nvrtc_loads: bool,
    ) -> Result<Toolkit, ToolkitError> {
        let root = tempfile::tempdir().unwrap();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        find(
            &Machine::with_files(root.path(), &files, variables),
            nvrtc_loads,
        )
    }

    fn elsewhere(cuda_path: &str, library_folder: &str) -> Result<Toolkit, ToolkitError> {
        Ok(Toolkit::Elsewhere {
            cuda_path: cuda_path.into(),
            library_folder: library_folder.into(),
        })
    }

    #[test]
    fn toolkit_in_a_folder_of_cubecl_is_ready_if_nvrtc_loads() {
        for at in ["/usr/local/cuda", "/opt/cuda"] {
            assert_eq!(found(&toolkit(at), &[], true), Ok(Toolkit::Ready));
            assert_eq!(
                found(&toolkit(at), &[], false),
                elsewhere(at, &format!("{at}/lib64"))
            );
        }
        let mut distribution = toolkit("/usr");
        distribution.push("/usr/bin/nvcc".into());
        assert_eq!(found(&distribution, &[], true), Ok(Toolkit::Ready));
        let chosen = [("CUDA_PATH", "/apps/cuda")];
        assert_eq!(
            found(&toolkit("/apps/cuda"), &chosen, true),
            Ok(Toolkit::Ready)
        );
    }

    #[test]
    fn headers_below_cccl_are_found() {
        let mut files = toolkit("/opt/cuda");
        files.retain(|file| !file.ends_with("barrier"));
        files.push("/opt/cuda/include/cccl/cuda/barrier".into());
        assert_eq!(found(&files, &[], true), Ok(Toolkit::Ready));
    }

    #[test]
    fn incomplete_cuda_path_is_an_error_even_if_another_toolkit_exists() {
        let mut files = toolkit("/usr/local/cuda");
        files.push("/apps/cuda/include/cuda_runtime.h".into());
        let error = found(&files, &[("CUDA_PATH", "/apps/cuda")], true).unwrap_err();
        assert_eq!(
            error,
            ToolkitError::CudaPath {
                path: "/apps/cuda".into(),
                missing: HEADERS[1..].to_vec(),
            }
        );
        let mut files = toolkit("/apps/cuda");
        files.pop();
        let error = found(&files, &[("CUDA_PATH", "/apps/cuda")], false).unwrap_err();
        let path = "/apps/cuda".into();
        assert_eq!(error, ToolkitError::NoNvrtc { path });
    }

    #[test]
    fn newest_toolkit_in_another_folder_is_found() {
        let mut files = toolkit("/usr/local/cuda-12.4");
        files.extend(toolkit("/usr/local/cuda-12.10"));
        assert_eq!(
            found(&files, &[], true),
            elsewhere("/usr/local/cuda-12.10", "/usr/local/cuda-12.10/lib64")
        );
        let mut files = toolkit("/apps/cuda");
        files.push("/apps/cuda/bin/nvcc".into());
        assert_eq!(
            found(&files, &[("PATH", "/bin:/apps/cuda/bin")], false),
            elsewhere("/apps/cuda", "/apps/cuda/lib64")
        );
        // A runtime image has NVRTC without headers.
        files.push("/usr/local/cuda/lib64/libnvrtc.so.12".into());
        assert_eq!(
            found(&files, &[("CUDA_HOME", "/apps/cuda")], true),
            elsewhere("/apps/cuda", "/apps/cuda/lib64")
        );
    }

    #[test]
    fn message_names_the_packages_if_nothing_is_installed() {
        let error = found(&[], &[], false).unwrap_err().to_string();
        assert!(error.contains("/usr/local/cuda"), "{error}");
        assert!(error.contains("nvidia-cuda-nvrtc-cu12"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
