//! CubeCL's settings for its caches.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_cubecl::cubecl::config::cache::CacheConfig;
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use sha2::{Digest, Sha256};

use super::KernelCache;
use crate::backend::BackendError;
use crate::hex::hex;

/// Sets the cache of a device, unless this process has set one before, and returns the cache in use;
/// `None` if the user has no cache folder. `device` consists of the backend, the device's name and
/// the compiler.
///
/// # Errors
///
/// If the user's `cubecl.toml` or `burn.toml` is malformed.
pub(in crate::backend) fn open(
    device: &str,
    keeps_compiled: bool,
) -> Result<Option<KernelCache>, BackendError> {
    let Some(folder) = folder() else {
        return Ok(None);
    };
    let folder = folder.join(file_name(device));
    set(&folder, keeps_compiled)?;
    let used = CubeClRuntimeConfig::get();
    let compiled = used.compilation.cache.as_ref().map(CacheConfig::root);
    let folder = match compiled {
        Some(root) if keeps_compiled => root.join("cuda"),
        None if keeps_compiled => return Ok(None),
        _ => used.autotune.cache.root().join("autotune"),
    };
    Ok(Some(KernelCache {
        is_empty: !has_contents(&folder),
        folder,
        keeps_compiled,
    }))
}

/// Sets a cache of which kernels are fastest, for small computations on all `devices` of this machine
/// (their names). Compiled kernels are not cached: those of one device do not load on another.
pub(in crate::backend) fn keep_choices(devices: &[&str]) {
    if let Some(folder) = folder() {
        let name = short_digest(devices.iter().copied());
        // If the user's file is malformed, the first computation reports it.
        let _ = set(&folder.join(format!("devices-{name}")), false);
    }
}

/// Returns the folder for kernels of this build.
fn folder() -> Option<PathBuf> {
    let lock = include_str!("../../../Cargo.lock");
    let folder = dirs::cache_dir()?.join("loop-dml/kernels");
    Some(folder.join(kernel_versions(lock, env!("LOOP_DML_KERNELS_DIGEST"))))
}

fn set(folder: &Path, keeps_compiled: bool) -> Result<(), BackendError> {
    let directory = std::env::current_dir().unwrap_or_default();
    let user = user_settings(&directory)?;
    let config = merge(user, folder, keeps_compiled)?.override_from_env();
    let mut state = CubeClRuntimeConfig::storage().lock();
    if state.is_none() {
        *state = Some(Arc::new(config));
    }
    Ok(())
}

/// Returns the settings in the file that CubeCL would read: the nearest one, from `directory` upwards.
fn user_settings(directory: &Path) -> Result<Option<(PathBuf, toml::Table)>, BackendError> {
    for directory in directory.ancestors() {
        for name in CubeClRuntimeConfig::file_names() {
            let path = directory.join(name);
            if let Some(table) = parse(&path)? {
                return Ok(Some((path, table)));
            }
        }
        for (name, section) in CubeClRuntimeConfig::section_file_names() {
            let path = directory.join(name);
            let section = parse(&path)?.and_then(|mut table| table.remove(*section));
            if let Some(section) = section {
                let table = section.try_into().map_err(|error| refuse(&path, &error))?;
                return Ok(Some((path, table)));
            }
        }
    }
    Ok(None)
}

/// Returns the file's table; `None` if the file does not exist.
fn parse(path: &Path) -> Result<Option<toml::Table>, BackendError> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map(Some)
            .map_err(|error| refuse(path, &error)),
        Err(_) => Ok(None),
    }
}

fn refuse(path: &Path, error: &toml::de::Error) -> BackendError {
    BackendError::KernelSettings {
        path: path.to_path_buf(),
        reason: error.message().lines().next().unwrap_or_default().into(),
    }
}

/// Returns CubeCL's settings: the user's, with `folder` for the caches that they do not set.
fn merge(
    user: Option<(PathBuf, toml::Table)>,
    folder: &Path,
    keeps_compiled: bool,
) -> Result<CubeClRuntimeConfig, BackendError> {
    let (path, table) = user.unwrap_or_default();
    let sets = |section: &str| {
        let section = table.get(section).and_then(toml::Value::as_table);
        section.is_some_and(|section| section.contains_key("cache"))
    };
    let (autotune, compilation) = (sets("autotune"), sets("compilation"));
    let mut config: CubeClRuntimeConfig =
        table.try_into().map_err(|error| refuse(&path, &error))?;
    let ours = || CacheConfig::File(folder.to_path_buf());
    if !autotune {
        config.autotune.cache = ours();
    }
    if !compilation && keeps_compiled {
        config.compilation.cache = Some(ours());
    }
    Ok(config)
}

/// Returns a short name for the versions of the crates that generate kernels, from `Cargo.lock`, and of this
/// project's kernels. A kernel of another version may have the same name and other contents.
fn kernel_versions(lock: &str, kernels: &str) -> String {
    let lines: Vec<&str> = lock.lines().collect();
    let generates = |name: &str| {
        let prefixes = ["burn", "cubecl", "cubek", "loop-dml"];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    let packages = lines.windows(2).filter(|pair| {
        let name = pair[0].strip_prefix("name = \"");
        name.is_some_and(generates)
    });
    short_digest(packages.flatten().copied().chain([kernels]))
}

/// Returns eight hexadecimal digits that depend on all `parts`.
fn short_digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    let digest = digest.finalize();
    hex(&digest[..4])
}

/// Returns `device` as the name of a folder.
fn file_name(device: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['.', '-'].contains(&c);
    device
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

/// Whether a file below `folder` has contents. CubeCL creates empty files first.
fn has_contents(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => has_contents(&entry.path()),
        Ok(metadata) => metadata.len() > 0,
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(config: &CubeClRuntimeConfig) -> (PathBuf, Option<PathBuf>) {
        let compiled = config.compilation.cache.as_ref().map(CacheConfig::root);
        (config.autotune.cache.root(), compiled)
    }

    #[test]
    fn both_caches_use_the_given_folder_unless_the_user_sets_them() {
        let ours = Path::new("/ours");
        let config = merge(None, ours, true).unwrap();
        assert_eq!(roots(&config), (ours.into(), Some(ours.into())));
        let config = merge(None, ours, false).unwrap();
        assert_eq!(roots(&config), (ours.into(), None));

        let text = "[autotune]\nlevel = \"full\"\ncache = { file = \"/theirs\" }\n";
        let user = (PathBuf::from("cubecl.toml"), toml::from_str(text).unwrap());
        let config = merge(Some(user), ours, true).unwrap();
        assert_eq!(roots(&config), ("/theirs".into(), Some(ours.into())));
    }

    #[test]
    fn nearest_file_of_the_user_is_used() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(user_settings(&inner).unwrap(), None);

        let outer = root.path().join("cubecl.toml");
        fs::write(&outer, "[compilation]\ncache = \"global\"\n").unwrap();
        let (path, table) = user_settings(&inner).unwrap().unwrap();
        assert_eq!(path, outer);
        assert!(table.contains_key("compilation"));

        let nearer = root.path().join("a/burn.toml");
        fs::write(&nearer, "[fusion]\n").unwrap();
        assert_eq!(user_settings(&inner).unwrap().unwrap().0, outer);
        fs::write(&nearer, "[cubecl.autotune]\nlevel = \"minimal\"\n").unwrap();
        let (path, table) = user_settings(&inner).unwrap().unwrap();
        assert_eq!(path, nearer);
        assert!(table.contains_key("autotune"));
    }

    #[test]
    fn malformed_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cubecl.toml");
        fs::write(&path, "[autotune\n").unwrap();
        let error = user_settings(root.path()).unwrap_err().to_string();
        assert!(error.contains("cubecl.toml"), "{error}");
        assert_eq!(error.lines().count(), 1);

        fs::write(&path, "[autotune]\nlevel = 3\n").unwrap();
        let user = user_settings(root.path()).unwrap();
        let error = merge(user, Path::new("/ours"), true).unwrap_err();
        assert!(error.to_string().contains("cubecl.toml"), "{error}");
        assert!(matches!(error, BackendError::KernelSettings { .. }));
    }

    #[test]
    fn versions_of_other_crates_do_not_change_the_folder() {
        let lock = |serde: &str, cubecl: &str| {
            format!(
                "name = \"serde\"\nversion = \"{serde}\"\n\nname = \"cubecl-cuda\"\nversion = \"{cubecl}\"\n"
            )
        };
        let name = kernel_versions(&lock("1", "0.10.0"), "a");
        assert_eq!(name.len(), 8);
        assert_eq!(name, kernel_versions(&lock("2", "0.10.0"), "a"));
        assert_ne!(name, kernel_versions(&lock("1", "0.10.1"), "a"));
        assert_ne!(name, kernel_versions(&lock("1", "0.10.0"), "b"));
    }

    #[test]
    fn cache_of_empty_files_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("0.10.0/ptx.json.log");
        assert!(!has_contents(root.path()));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        assert!(!has_contents(root.path()));
        fs::write(&file, "{}").unwrap();
        assert!(has_contents(root.path()));
    }

    #[test]
    fn device_name_becomes_a_folder_name() {
        assert_eq!(
            file_name("cuda-NVIDIA H100 80GB/HBM3"),
            "cuda-NVIDIA_H100_80GB_HBM3"
        );
    }
}
