//! The folder in which published files are kept.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::DecimalBytes;
use sha2::{Digest, Sha256};
use ureq::Proxy;

use super::error::{DownloadError, MIRROR};
use super::transfer::{Client, TransferError};
use crate::cancellation::CancellationToken;
use crate::file_lock::{NotLocked, wait_for_lock};
use crate::hex::hex;
use crate::model::config::PublishedWeights;
use crate::progress::{Progress, ProgressObserver, Unit};

/// Suffix of a partial download.
const PART: &str = "part";
/// Suffix of the file that the downloading process locks.
const LOCK: &str = "lock";

/// How long to wait for a server: an overloaded one answers within seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The folder of published files, and the means of downloading them.
pub(in crate::model::weights) struct Cache<'a> {
    /// The folder; created if necessary.
    pub(super) folder: PathBuf,
    /// The address of a folder that replaces the published one.
    pub(super) mirror: Option<String>,
    /// The HTTP client.
    pub(super) client: Client,
    /// Checked several times a second.
    pub(super) cancellation: &'a CancellationToken,
    /// Receives the number of downloaded bytes.
    pub(super) progress: &'a dyn ProgressObserver,
}

impl<'a> Cache<'a> {
    /// The user's cache. `file` is the file needed from it, for the error.
    ///
    /// # Errors
    /// If the system has no folder for caches, or the mirror in the environment is not an address.
    pub(in crate::model::weights) fn for_user(
        file: &PublishedWeights,
        cancellation: &'a CancellationToken,
        progress: &'a dyn ProgressObserver,
    ) -> Result<Self, DownloadError> {
        let folder = dirs::cache_dir().ok_or_else(|| DownloadError::NoCacheFolder {
            address: file.address(),
        })?;
        Ok(Self {
            folder: folder.join("loop-dml").join("weights"),
            mirror: mirror(std::env::var_os(MIRROR))?,
            client: Client {
                timeout: TIMEOUT,
                proxy: Proxy::try_from_env(),
            },
            cancellation,
            progress,
        })
    }

    /// The path of `file` in the cache. Downloads it if it is not there, and verifies it.
    ///
    /// # Errors
    /// If it is damaged or cannot be downloaded.
    pub(in crate::model::weights) fn locate(
        &self,
        file: &PublishedWeights,
    ) -> Result<PathBuf, DownloadError> {
        let item = Item {
            cache: self,
            file,
            address: match &self.mirror {
                Some(folder) => format!("{folder}/{}", file.name),
                None => file.address(),
            },
            path: self.folder.join(file.name),
        };
        // Without a lock, so that a read-only folder works too.
        if !item.path.exists() {
            let _lock = item.lock()?;
            // Another process may have downloaded it in the meantime.
            if !item.path.exists() {
                item.download()?;
                return Ok(item.path);
            }
        }
        item.verify()?;
        Ok(item.path)
    }
}

/// The mirror in the environment, without a trailing slash.
fn mirror(value: Option<std::ffi::OsString>) -> Result<Option<String>, DownloadError> {
    let value = value.unwrap_or_default().to_string_lossy().into_owned();
    match value.trim_end_matches('/') {
        "" => Ok(None),
        folder if folder.starts_with("http://") || folder.starts_with("https://") => {
            Ok(Some(folder.to_string()))
        }
        _ => Err(DownloadError::Mirror { value }),
    }
}

/// A file of the cache.
struct Item<'a> {
    cache: &'a Cache<'a>,
    file: &'a PublishedWeights,
    /// The address to download it from.
    address: String,
    /// Its path in the cache.
    path: PathBuf,
}

impl Item<'_> {
    /// Compares the cached file with the published one.
    fn verify(&self) -> Result<(), DownloadError> {
        let found = self.hash(&self.path)?;
        match found == self.file.sha256 {
            true => Ok(()),
            false => Err(DownloadError::Damaged {
                path: self.path.clone(),
                found,
                expected: self.file.sha256,
                address: self.address.clone(),
            }),
        }
    }

    fn lock(&self) -> Result<File, DownloadError> {
        let folder = &self.cache.folder;
        fs::create_dir_all(folder).map_err(self.cache_error("create", folder))?;
        let path = self.with_suffix(LOCK);
        let lock = wait_for_lock(&path, self.cache.cancellation, || {
            tracing::info!("waiting for another process to download {}", self.file.name);
        });
        lock.map_err(|error| match error {
            NotLocked::Cancelled => DownloadError::Cancelled,
            NotLocked::Io(error) => self.cache_error("lock", &path)(error),
        })
    }

    /// Downloads the file to its path. The caller holds the lock.
    fn download(&self) -> Result<(), DownloadError> {
        let part = self.with_suffix(PART);
        let have = fs::metadata(&part).map_or(0, |part| part.len());
        // A process killed before renaming leaves a complete file.
        if have == 0 || self.hash(&part)? != self.file.sha256 {
            self.transfer(&part, have)?;
            let found = self.hash(&part)?;
            if found != self.file.sha256 {
                fs::remove_file(&part).map_err(self.cache_error("remove", &part))?;
                return Err(DownloadError::HashMismatch {
                    address: self.address.clone(),
                    found,
                    expected: self.file.sha256,
                    path: self.path.clone(),
                });
            }
        }
        fs::rename(&part, &self.path).map_err(self.cache_error("rename", &part))?;
        tracing::info!("saved {}", self.path.display());
        Ok(())
    }

    /// Downloads the rest of the file to `part`, which has `have` bytes.
    fn transfer(&self, part: &Path, have: u64) -> Result<(), DownloadError> {
        let opened = self
            .cache
            .client
            .open(&self.address, have, self.cache.cancellation);
        let mut transfer = opened.map_err(|error| match error {
            TransferError::Cancelled => DownloadError::Cancelled,
            error => DownloadError::Unavailable {
                address: self.address.clone(),
                reason: error.to_string(),
                path: self.path.clone(),
            },
        })?;
        let unwritable = || self.cache_error("write", part);
        let mut file = open_at(part, transfer.start).map_err(unwritable())?;
        let mut received = transfer.start;
        tracing::info!(
            "downloading {} ({})",
            self.address,
            extent(received, transfer.length)
        );
        self.report(received, transfer.length);
        loop {
            match transfer.next(self.cache.cancellation) {
                Ok(Some(chunk)) => {
                    file.write_all(&chunk).map_err(unwritable())?;
                    received += chunk.len() as u64;
                    self.report(received, transfer.length);
                }
                Ok(None) => break,
                Err(TransferError::Cancelled) => return Err(DownloadError::Cancelled),
                Err(error) => {
                    return Err(DownloadError::Incomplete {
                        address: self.address.clone(),
                        received,
                        reason: error.to_string(),
                        path: self.path.clone(),
                    });
                }
            }
        }
        self.cache.progress.finish(self.file.name);
        // Before renaming, so that after a crash of the machine a renamed file is complete.
        file.sync_all().map_err(unwritable())
    }

    fn report(&self, done: u64, total: Option<u64>) {
        self.cache.progress.update(Progress {
            task: self.file.name,
            done,
            total,
            unit: Unit::Bytes,
        });
    }

    /// The file's path with an additional suffix.
    fn with_suffix(&self, suffix: &str) -> PathBuf {
        self.cache
            .folder
            .join(format!("{}.{suffix}", self.file.name))
    }

    fn hash(&self, path: &Path) -> Result<String, DownloadError> {
        sha256(path).map_err(self.cache_error("read", path))
    }

    fn cache_error<'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> DownloadError + 'a {
        move |source| DownloadError::Cache {
            action,
            path: path.to_path_buf(),
            address: self.address.clone(),
            source,
        }
    }
}

/// The size of a download, and how much of it is there already, such as
/// `18.33 MB, resuming after 2.10 MB`.
fn extent(received: u64, total: Option<u64>) -> String {
    let bytes = |count| DecimalBytes(count).to_string();
    let total = total.map_or("unknown size".to_string(), bytes);
    match received {
        0 => total,
        received => format!("{total}, resuming after {}", bytes(received)),
    }
}

/// Opens a file for writing, truncated to its first `start` bytes.
fn open_at(path: &Path, start: u64) -> io::Result<File> {
    let mut options = File::options();
    let mut file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.set_len(start)?;
    file.seek(SeekFrom::Start(start))?;
    Ok(file)
}

/// The SHA-256 of a file in hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    /// Bytes per read.
    const CHUNK: usize = 1 << 18;
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => hash.update(&chunk[..count]),
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_an_address_or_unset() {
        let of = |value: &str| mirror(Some(value.into()));
        for value in ["http://host/weights", "http://host/weights/"] {
            assert_eq!(of(value).unwrap().unwrap(), "http://host/weights");
        }
        assert!(mirror(None).unwrap().is_none() && of("").unwrap().is_none());
        let error = of("/srv/weights").unwrap_err();
        assert!(error.is_user_error());
        let text = error.to_string();
        assert!(
            text.starts_with("LOOP_DML_WEIGHTS_MIRROR=/srv/weights: "),
            "{text}"
        );
    }
}
