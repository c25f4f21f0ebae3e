//! Why published weights are not at hand, each with its mend.

use std::io;
use std::path::{Path, PathBuf};

use super::cache::MIRROR;
use crate::model::config::{Backbone, WeightsSource};

/// Why published weights are not at hand.
#[derive(Debug, thiserror::Error)]
pub enum PublishedWeightsError {
    /// The backbone's authors publish no such file.
    #[error(
        "no weights `{asked}` of {backbone} are published; {}",
        instead(there_are)
    )]
    NotPublished {
        /// The backbone.
        backbone: Backbone,
        /// What was asked for.
        asked: WeightsSource,
        /// What is published of this backbone.
        there_are: Vec<WeightsSource>,
    },
    /// The environment names a mirror that is none.
    #[error(
        "{MIRROR}={value}: give the address of the folder that holds the files, as in http://host/weights/, or unset it"
    )]
    Mirror {
        /// The variable's value.
        value: String,
    },
    /// The system names no folder for caches.
    #[error(
        "the system names no folder for caches to keep {address} in: set HOME, or download the file and give its path in model.weights"
    )]
    NoCacheFolder {
        /// The file's address.
        address: String,
    },
    /// The cache cannot be read or written.
    #[error("cannot {doing} {} for the weights from {address}: {source}; free or unlock it, set XDG_CACHE_HOME to another folder, or download the file and give its path in model.weights", path.display())]
    Cache {
        /// What was being done: `create`, `lock`, `read`, `write` or `rename`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The address of the file that was to be kept there.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file in the cache is not what was published.
    #[error("{} is damaged: its SHA-256 is {found}, not {expected}; delete it, and the next run downloads it again from {address}", path.display())]
    Damaged {
        /// The file in the cache.
        path: PathBuf,
        /// The SHA-256 that it has.
        found: String,
        /// The SHA-256 that it should have.
        expected: &'static str,
        /// Where it is published.
        address: String,
    },
    /// No server, or not the file: nothing has arrived.
    #[error("cannot download {address}: {reason}; {}", by_hand(path))]
    Unavailable {
        /// The address.
        address: String,
        /// What the server, or the system, said.
        reason: String,
        /// Where the cache wants the file.
        path: PathBuf,
    },
    /// The transfer ended before the file did. What has arrived is kept.
    #[error(
        "the download of {address} broke off after {arrived} bytes: {reason}; start again to go on from there, or {}",
        by_hand(path)
    )]
    BrokenOff {
        /// The address.
        address: String,
        /// Bytes in the cache.
        arrived: u64,
        /// Why.
        reason: String,
        /// Where the cache wants the file.
        path: PathBuf,
    },
    /// What arrived is not what was published. It is not kept.
    #[error(
        "{address} gave a file whose SHA-256 is {found}, not {expected}; it is not kept: start again, and if this recurs, {}",
        by_hand(path)
    )]
    OtherFile {
        /// The address.
        address: String,
        /// The SHA-256 of what arrived.
        found: String,
        /// The SHA-256 of what was published.
        expected: &'static str,
        /// Where the cache wants the file.
        path: PathBuf,
    },
    /// The person at the terminal, or the system, asked to stop. What has arrived is kept.
    #[error("interrupted")]
    Cancelled,
}

impl PublishedWeightsError {
    /// Whether the user's configuration or files are at fault, rather than the network or the
    /// machine.
    pub fn is_users(&self) -> bool {
        match self {
            Self::NotPublished { .. } | Self::Mirror { .. } | Self::Damaged { .. } => true,
            Self::NoCacheFolder { .. }
            | Self::Cache { .. }
            | Self::Unavailable { .. }
            | Self::BrokenOff { .. }
            | Self::OtherFile { .. }
            | Self::Cancelled => false,
        }
    }
}

fn instead(there_are: &[WeightsSource]) -> String {
    match there_are.first() {
        Some(source) => format!("take `{source}`, or give a file's path"),
        None => "give a file's path, leave model.weights out to start from random weights, or \
                 choose another backbone"
            .to_string(),
    }
}

/// How the file gets to `path` without this download.
fn by_hand(path: &Path) -> String {
    format!(
        "download it yourself and save it as {}, or set {MIRROR} to the address of a folder that \
         holds it",
        path.display()
    )
}
