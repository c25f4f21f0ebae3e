//! Published ImageNet weights: downloaded once into the user's cache folder, verified at each use.
//!
//! A file is known by its SHA-256. What has arrived of it stays under its name with `.part`, so that
//! the next attempt goes on from there; once it is whole and verified it gets its name. Of several
//! processes that want the same file one downloads it while the others wait. A file that is there
//! costs no request. None is ever deleted but a part that turned out to be of another file.

mod cache;
mod error;
mod published;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::PathBuf;

use super::weights::{WeightsError, check_file};
use crate::cancellation::CancellationToken;
use crate::model::config::{Backbone, WeightsSource};
use crate::progress::ProgressObserver;
use cache::Cache;
pub use error::PublishedWeightsError;
use published::Published;

/// The file of weights that `source` stands for: the user's own, or the published one of `backbone`
/// in `loop-dml/weights` of the user's cache folder, downloaded if it is not there. Progress of the
/// download is reported to `progress`.
///
/// The environment variable `LOOP_DML_WEIGHTS_MIRROR` may hold the address of a folder that has the
/// published files by their names, for machines that do not reach the internet.
///
/// # Errors
/// When the file is not there or not named as weights are; when no such file is published; when the
/// download fails, brings another file, or is cancelled; when the cache is damaged or cannot be
/// written.
pub fn locate(
    backbone: Backbone,
    source: &WeightsSource,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<PathBuf, WeightsError> {
    if let WeightsSource::File(path) = source {
        check_file(path)?;
        return Ok(path.clone());
    }
    let published = Published::find(backbone, source)?;
    Ok(Cache::of_user(published, cancellation, progress)?.locate(published)?)
}

/// Makes sure that `source` is a file or stands for one that is published; touches neither disk nor
/// network.
///
/// # Errors
/// When no such file is published.
pub fn check_published(
    backbone: Backbone,
    source: &WeightsSource,
) -> Result<(), PublishedWeightsError> {
    match source {
        WeightsSource::File(_) => Ok(()),
        _ => Published::find(backbone, source).map(drop),
    }
}
