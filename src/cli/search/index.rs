//! `--index`: the search by an approximate index, in binaries that are built with it.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use serde::Serialize;

use super::super::CliError;
use super::super::output::status;
use super::Found;
use crate::inference::InferenceError;
use crate::inference::search::SearchSets;
use crate::progress::Monitor;

/// How an index was used.
#[derive(Debug, Serialize)]
pub(super) struct IndexUse {
    /// The index.
    path: PathBuf,
    /// Whether it was built.
    built: bool,
    /// The share of the exact neighbours that were found.
    recall: f64,
    /// The number of queries of which the recall was measured.
    sample: usize,
}

impl IndexUse {
    /// Prints the recall on standard error.
    pub(super) fn print(&self, k: usize) {
        if self.built {
            status(format_args!("wrote the index {}", self.path.display()));
        }
        status(format_args!(
            "recall@{k} of the index against the exact neighbours of {} queries: {:.2} %",
            self.sample,
            100.0 * self.recall
        ));
    }
}

/// Checks before anything takes long that the index exists or can be written.
#[cfg(feature = "index")]
pub(super) fn check(path: &Path) -> Result<(), CliError> {
    match path.exists() {
        true => Ok(()),
        false => crate::atomic_file::check_free(path).map_err(CliError::from),
    }
}

/// Refuses an index.
#[cfg(not(feature = "index"))]
pub(super) fn check(path: &Path) -> Result<(), CliError> {
    let reason = "this binary was built without indexes; build it with `cargo build --release --features index`, or omit \
                  the option: search is exact without it";
    let error = crate::setting::SettingError::value("--index", path.display().to_string(), reason);
    Err(error.into())
}

/// Searches by the index `path`.
#[cfg(feature = "index")]
pub(super) fn search<B: Backend>(
    sets: SearchSets,
    path: &Path,
    k: usize,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<Found, InferenceError> {
    let found = crate::inference::search::search_by_index::<B>(sets, path, k, device, monitor)?;
    Ok(Found {
        result: found.result,
        index: Some(IndexUse {
            path: path.into(),
            built: found.built,
            recall: found.recall,
            sample: found.sample,
        }),
    })
}

/// Is never called, since [`check`] refuses an index.
#[cfg(not(feature = "index"))]
pub(super) fn search<B: Backend>(
    sets: SearchSets,
    _path: &Path,
    k: usize,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<Found, InferenceError> {
    Ok(Found {
        result: crate::inference::search::search::<B>(sets, k, device, monitor)?,
        index: None,
    })
}
