//! Errors of downloads.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::config::NotPublished;

/// The environment variable with the address of a folder that contains the published files.
pub(super) const MIRROR: &str = "LOOP_DML_WEIGHTS_MIRROR";

/// Why published weights are not available.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The backbone's authors did not publish these weights.
    #[error(transparent)]
    NotPublished(#[from] NotPublished),
    /// The environment variable of the mirror is not an address.
    #[error(
        "{MIRROR}={value}: not an address; give the address of the folder that contains the files, such as http://host/weights/, or unset it"
    )]
    Mirror {
        /// The variable's value.
        value: String,
    },
    /// The system has no folder for caches.
    #[error(
        "no cache folder for {address}: set HOME, or download the file and give its path in model.weights"
    )]
    NoCacheFolder {
        /// The file's address.
        address: String,
    },
    /// The cache cannot be read or written.
    #[error("cannot {action} {} for the weights from {address}: {source}; check its permissions and free space, set XDG_CACHE_HOME to another folder, or download the file and give its path in model.weights", path.display())]
    Cache {
        /// What failed: `create`, `lock`, `read`, `write`, `remove` or `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The address of the file for the cache.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// The cached file is not the published one.
    #[error("{} is damaged: its SHA-256 is {found} instead of {expected}; delete it, and the next run downloads it again from {address}", path.display())]
    Damaged {
        /// The file in the cache.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// The SHA-256 of the published file.
        expected: &'static str,
        /// The address of the published file.
        address: String,
    },
    /// The server cannot be reached or does not have the file. Nothing was downloaded.
    #[error("cannot download {address}: {reason}; {}", manual_download(path))]
    Unavailable {
        /// The address.
        address: String,
        /// The message of the server or of the system.
        reason: String,
        /// The file's path in the cache.
        path: PathBuf,
    },
    /// The transfer ended before the file did. The partial download is kept.
    #[error(
        "the download of {address} stopped after {received} bytes: {reason}; start again to resume it, or {}",
        manual_download(path)
    )]
    Incomplete {
        /// The address.
        address: String,
        /// Bytes in the cache.
        received: u64,
        /// The message of the server or of the system.
        reason: String,
        /// The file's path in the cache.
        path: PathBuf,
    },
    /// The downloaded file is not the published one. It is deleted.
    #[error(
        "{address} returned a file with SHA-256 {found} instead of {expected}, which was deleted: start again, and if this recurs, {}",
        manual_download(path)
    )]
    HashMismatch {
        /// The address.
        address: String,
        /// The SHA-256 of the downloaded file.
        found: String,
        /// The SHA-256 of the published file.
        expected: &'static str,
        /// The file's path in the cache.
        path: PathBuf,
    },
    /// The download was cancelled. The partial download is kept.
    #[error("interrupted")]
    Cancelled,
}

impl DownloadError {
    /// Whether the user's configuration or files are the cause, rather than the network or the
    /// machine.
    pub fn is_user_error(&self) -> bool {
        match self {
            Self::NotPublished { .. } | Self::Mirror { .. } | Self::Damaged { .. } => true,
            Self::NoCacheFolder { .. }
            | Self::Cache { .. }
            | Self::Unavailable { .. }
            | Self::Incomplete { .. }
            | Self::HashMismatch { .. }
            | Self::Cancelled => false,
        }
    }
}

/// How to put the file at `path` without this download.
fn manual_download(path: &Path) -> String {
    format!(
        "download it manually and save it as {}, or set {MIRROR} to the address of a folder that \
         contains it",
        path.display()
    )
}
