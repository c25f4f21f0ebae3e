//! NVRTC and the CUDA headers in NVIDIA's wheels on PyPI, which need neither root nor a toolkit.
//!
//! Each of CUDA 12's wheels has its own folder (`nvidia/cuda_runtime/include`,
//! `nvidia/cuda_nvrtc/lib`, …); CUDA 13's share `nvidia/cu13`. CubeCL searches one folder only, so a
//! folder of links in the user's cache folder merges them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use super::required_files::{HEADERS, contains_nvrtc, is_nvrtc, missing_headers};
use super::toolkit_error::ToolkitError;

/// The wheels of a major version of CUDA.
#[derive(Debug, PartialEq, Eq)]
struct Release {
    /// Folders with headers, below `nvidia`.
    includes: &'static [&'static str],
    /// The folder with NVRTC, below `nvidia`.
    library: &'static str,
    nvrtc: &'static str,
    /// The package of each header of [`HEADERS`].
    packages: [&'static str; 4],
    /// Whether the packages share their version numbers.
    same_version: bool,
}

/// CUDA 12 first: it runs on the drivers of CUDA 13 too.
const RELEASES: [Release; 2] = [
    Release {
        includes: &[
            "cuda_runtime/include",
            "cuda_nvcc/include",
            "cuda_cccl/include",
        ],
        library: "cuda_nvrtc/lib",
        nvrtc: "nvidia-cuda-nvrtc-cu12",
        packages: [
            "nvidia-cuda-runtime-cu12",
            "nvidia-cuda-runtime-cu12",
            "nvidia-cuda-nvcc-cu12",
            "nvidia-cuda-cccl-cu12",
        ],
        same_version: true,
    },
    Release {
        includes: &["cu13/include"],
        library: "cu13/lib",
        nvrtc: "nvidia-cuda-nvrtc",
        packages: [
            "nvidia-cuda-runtime",
            "nvidia-cuda-runtime",
            "nvidia-cuda-crt",
            "nvidia-cuda-cccl",
        ],
        same_version: false,
    },
];

/// Returns every package of CUDA 12.
pub(super) fn all_packages() -> Vec<String> {
    let release = &RELEASES[0];
    let mut packages = vec![release.nvrtc];
    packages.extend(release.packages);
    packages.dedup();
    packages.into_iter().map(String::from).collect()
}

/// Installed wheels that hold NVRTC and all headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wheels {
    includes: Vec<PathBuf>,
    library: PathBuf,
}

/// Finds a complete set of wheels in the folders of Python packages.
///
/// # Errors
///
/// If no set is complete, with the packages to install.
pub(super) fn find(machine: &Machine) -> Result<Wheels, ToolkitError> {
    let mut incomplete: Option<(PathBuf, Vec<String>)> = None;
    for site in site_folders(machine) {
        for release in &RELEASES {
            let below = |folder: &&str| site.join("nvidia").join(folder);
            let includes: Vec<PathBuf> = release.includes.iter().map(below).collect();
            let library = below(&release.library);
            let missing = missing_packages(machine, release, &includes, &library);
            if missing.is_empty() {
                return Ok(Wheels { includes, library });
            }
            let fewest = incomplete.as_ref().map(|(_, packages)| packages.len());
            let any = missing.len() < all_packages().len();
            if any && fewest.is_none_or(|fewest| missing.len() < fewest) {
                incomplete = Some((site.clone(), missing));
            }
        }
    }
    Err(match incomplete {
        Some((site, packages)) => ToolkitError::IncompleteWheels { site, packages },
        None => ToolkitError::Missing {
            packages: all_packages(),
        },
    })
}

/// Returns the packages to install beside the wheels that are installed, at NVRTC's version if the
/// release shares version numbers.
fn missing_packages(
    machine: &Machine,
    release: &Release,
    includes: &[PathBuf],
    library: &Path,
) -> Vec<String> {
    let version = release
        .same_version
        .then(|| nvrtc_version(machine, library))
        .flatten();
    let headers = missing_headers(machine, includes);
    let mut packages = Vec::new();
    if !contains_nvrtc(machine, library) {
        packages.push(release.nvrtc);
    }
    let of_headers = HEADERS.iter().zip(release.packages);
    packages.extend(
        of_headers
            .filter(|(header, _)| headers.contains(header))
            .map(|(_, package)| package),
    );
    packages.dedup();
    let packages = packages.into_iter().map(|package| match &version {
        Some(version) => format!("\"{package}=={version}.*\""),
        None => package.to_string(),
    });
    packages.collect()
}

/// Returns NVRTC's version, such as 12.9, from the name of the library beside it.
fn nvrtc_version(machine: &Machine, library: &Path) -> Option<String> {
    let names = machine.entries(library);
    let mut versions = names
        .iter()
        .filter_map(|name| name.strip_prefix("libnvrtc-builtins.so."));
    versions.next().map(String::from)
}

/// Returns the folders of Python packages: of the active environment, of each `python3` on the
/// `PATH`, of the user, and of the system.
fn site_folders(machine: &Machine) -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(|name| machine.folder(name))
        .collect();
    for folder in machine.search_path() {
        if machine.exists(&folder.join("python3")) {
            prefixes.extend(folder.parent().map(Path::to_path_buf));
        }
    }
    prefixes.extend(machine.folder("HOME").map(|home| home.join(".local")));
    prefixes.extend([PathBuf::from("/usr/local"), PathBuf::from("/usr")]);
    let mut sites: Vec<PathBuf> = Vec::new();
    for prefix in prefixes {
        for library in ["lib", "lib64"].map(|name| prefix.join(name)) {
            for python in machine.entries(&library) {
                if !python.starts_with("python3") {
                    continue;
                }
                for packages in ["site-packages", "dist-packages"] {
                    let site = library.join(&python).join(packages);
                    if machine.is_folder(&site.join("nvidia")) && !sites.contains(&site) {
                        sites.push(site);
                    }
                }
            }
        }
    }
    sites
}

/// Returns the links of a folder with the layout of a toolkit: each link's path in it, and its target.
pub(super) fn links(machine: &Machine, wheels: &Wheels) -> BTreeMap<PathBuf, PathBuf> {
    let mut links = BTreeMap::new();
    for folder in &wheels.includes {
        for name in machine.entries(folder) {
            let link = Path::new("include").join(&name);
            add(machine, &mut links, link, folder.join(name));
        }
    }
    for name in machine.entries(&wheels.library) {
        let target = wheels.library.join(&name);
        if is_nvrtc(&name).is_some() {
            // The first name that NVRTC is loaded by, before another NVRTC of the system.
            links
                .entry(PathBuf::from("lib/libnvrtc.so"))
                .or_insert(target.clone());
        }
        if name.starts_with("libnvrtc") {
            links.insert(Path::new("lib").join(name), target);
        }
    }
    links
}

/// Adds a link. If two folders have the same name, their contents are linked instead. Of two files
/// with the same name, the first is linked.
fn add(machine: &Machine, links: &mut BTreeMap<PathBuf, PathBuf>, link: PathBuf, target: PathBuf) {
    let expanded = links
        .keys()
        .any(|other| *other != link && other.starts_with(&link));
    let first = links.get(&link).cloned();
    let both_folders =
        machine.is_folder(&target) && first.as_ref().is_some_and(|first| machine.is_folder(first));
    if !expanded && !both_folders {
        links.entry(link).or_insert(target);
        return;
    }
    links.remove(&link);
    for folder in first.into_iter().chain([target]) {
        for name in machine.entries(&folder) {
            add(machine, links, link.join(&name), folder.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "/venv/lib/python3.11/site-packages";

    const CUDA_12: [&str; 7] = [
        "nvidia/cuda_runtime/include/cuda_runtime.h",
        "nvidia/cuda_runtime/include/mma.h",
        "nvidia/cuda_nvcc/include/crt/mma.h",
        "nvidia/cuda_cccl/include/cuda/barrier",
        "nvidia/cuda_cccl/include/__init__.py",
        "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
        "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9",
    ];

    const CUDA_13: [&str; 5] = [
        "nvidia/cu13/include/cuda_runtime.h",
        "nvidia/cu13/include/mma.h",
        "nvidia/cu13/include/crt/mma.h",
        "nvidia/cu13/include/cccl/cuda/barrier",
        "nvidia/cu13/lib/libnvrtc.so.13",
    ];

    fn machine(root: &Path, files: &[&str], variables: &[(&str, &str)]) -> Machine {
        let files: Vec<String> = files.iter().map(|file| format!("{SITE}/{file}")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        Machine::with_files(root, &files, variables)
    }

    #[test]
    fn wheels_of_both_releases_are_found_in_an_active_environment() {
        for files in [&CUDA_12[..], &CUDA_13[..]] {
            let root = tempfile::tempdir().unwrap();
            let machine = machine(root.path(), files, &[("VIRTUAL_ENV", "/venv")]);
            let wheels = find(&machine).unwrap();
            assert!(wheels.library.starts_with(SITE));
            let links = links(&machine, &wheels);
            for link in ["include/mma.h", "lib/libnvrtc.so"] {
                assert!(links.contains_key(Path::new(link)), "{links:?}");
            }
        }
    }

    #[test]
    fn inactive_environment_on_the_search_path_is_found() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path(), &CUDA_12, &[("PATH", "/venv/bin:/bin")]);
        assert!(find(&machine).is_err());
        let python = root.path().join("venv/bin/python3");
        std::fs::create_dir_all(python.parent().unwrap()).unwrap();
        std::fs::write(python, "").unwrap();
        assert!(find(&machine).is_ok());
    }

    #[test]
    fn missing_packages_are_named_at_the_installed_version() {
        let root = tempfile::tempdir().unwrap();
        // The dependencies of PyTorch's wheels.
        let files = [CUDA_12[0], CUDA_12[1], CUDA_12[5], CUDA_12[6]];
        let machine = machine(root.path(), &files, &[("VIRTUAL_ENV", "/venv")]);
        assert_eq!(
            find(&machine),
            Err(ToolkitError::IncompleteWheels {
                site: SITE.into(),
                packages: vec![
                    "\"nvidia-cuda-nvcc-cu12==12.9.*\"".into(),
                    "\"nvidia-cuda-cccl-cu12==12.9.*\"".into(),
                ],
            })
        );
    }

    #[test]
    fn all_packages_of_cuda_12_are_named_if_no_wheel_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(
            root.path(),
            &["numpy/version.py"],
            &[("VIRTUAL_ENV", "/venv")],
        );
        let Err(ToolkitError::Missing { packages }) = find(&machine) else {
            panic!("nothing is installed");
        };
        assert_eq!(packages.len(), 4);
    }

    #[test]
    fn folders_of_the_same_name_are_merged() {
        let root = tempfile::tempdir().unwrap();
        let mut files = CUDA_12.to_vec();
        files.push("nvidia/cuda_runtime/include/crt/host_defines.h");
        files.push("nvidia/cuda_runtime/include/__init__.py");
        let machine = machine(root.path(), &files, &[("VIRTUAL_ENV", "/venv")]);
        let links = links(&machine, &find(&machine).unwrap());
        let target = |link: &str| {
            links
                .get(Path::new(link))
                .map(|path| path.to_str().unwrap())
        };
        assert_eq!(target("include/crt"), None);
        assert_eq!(
            target("include/crt/host_defines.h"),
            Some(&*format!(
                "{SITE}/nvidia/cuda_runtime/include/crt/host_defines.h"
            ))
        );
        assert_eq!(
            target("include/crt/mma.h"),
            Some(&*format!("{SITE}/nvidia/cuda_nvcc/include/crt/mma.h"))
        );
        assert_eq!(
            target("include/cuda"),
            Some(&*format!("{SITE}/nvidia/cuda_cccl/include/cuda"))
        );
        assert_eq!(
            target("lib/libnvrtc.so"),
            Some(&*format!("{SITE}/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"))
        );
        assert!(target("lib/libnvrtc-builtins.so.12.9").is_some());
    }
}
