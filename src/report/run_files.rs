//! What a run folder says about its training, without a backend and without its images.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::training::{EpochRecord, RunFolder, RunFolderError, RunRecord, RunResult};

/// The files of a run.
#[derive(Debug, Clone)]
pub struct RunFiles {
    /// The run folder.
    pub path: PathBuf,
    /// The resolved configuration.
    pub config: Config,
    /// Versions, backend, seed, protocol and splits.
    pub record: RunRecord,
    /// The recorded epochs; the first is the untrained network.
    pub history: Vec<EpochRecord>,
    /// How the training ended; `None` if it has not.
    pub result: Option<RunResult>,
    /// Whether the training left a batch whose loss was not finite.
    pub has_diverged: bool,
}

impl RunFiles {
    /// Reads the files of a run.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn read(folder: &RunFolder) -> Result<Self, RunFolderError> {
        Ok(Self {
            path: folder.path().to_path_buf(),
            config: folder.config(&[])?,
            record: folder.record()?,
            history: folder.history()?,
            result: folder.result()?,
            has_diverged: folder.has_diverged(),
        })
    }

    /// The name of the run: that of its folder.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }

    /// The seconds of all epochs.
    pub fn seconds(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// The last part of a path, also of `.`.
fn name_of(path: &Path) -> String {
    let absolute = path.canonicalize();
    let path = absolute.as_deref().unwrap_or(path);
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
