//! The file of the weights that a configuration names.

use std::path::PathBuf;

use super::download::{Cache, DownloadError};
use super::error::WeightsError;
use super::formats::check_file;
use crate::cancellation::CancellationToken;
use crate::model::config::{Backbone, PublishedWeights, WeightsSource};
use crate::progress::ProgressObserver;

/// Returns the path of the weights `source`: the user's file, or the published file of `backbone` in
/// `loop-dml/weights` of the user's cache folder. A published file that is not there is downloaded, with
/// its progress reported to `progress`.
///
/// The environment variable `LOOP_DML_WEIGHTS_MIRROR` may contain the address of a folder with
/// the published files, for machines without access to the internet.
///
/// # Errors
/// If the file does not exist or is not a weights file; if the weights are not
/// published; if the download fails, returns another file, or is cancelled; if the cached file is
/// damaged or the cache cannot be written.
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
    let published = PublishedWeights::find(backbone, source).map_err(DownloadError::from)?;
    Ok(Cache::for_user(published, cancellation, progress)?.locate(published)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn user_files_are_checked_before_they_are_read() {
        let locate = |path: &str| {
            locate(
                Backbone::Conv4,
                &path.into(),
                &CancellationToken::new(),
                &NoProgress,
            )
            .unwrap_err()
        };
        let absent = locate("absent.pth");
        assert!(matches!(absent, WeightsError::NotFound { .. }));
        let misspelt = locate("imagenet_v2");
        assert!(
            misspelt.to_string().contains("imagenet or imagenet-v2"),
            "{misspelt}"
        );
        let folder = locate("src");
        assert!(folder.to_string().contains("is a folder"), "{folder}");
    }
}
