//! The folder in which published files are kept.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Proxy;

use super::PublishedWeightsError;
use super::published::Published;
use super::transfer::{Client, Failure};
use crate::cancellation::CancellationToken;
use crate::file_lock::{NotLocked, wait_for_lock};
use crate::progress::{Progress, ProgressObserver, Unit};

/// The environment variable with the address of a folder that holds the files by their names.
pub(super) const MIRROR: &str = "LOOP_DML_WEIGHTS_MIRROR";

/// Ends the name of a file that is being downloaded.
const PART: &str = "part";
/// Ends the name of the file whose lock the downloading process holds.
const LOCK: &str = "lock";

/// How long a server may be silent: an overloaded one answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of published files, and how they get there.
pub(super) struct Cache<'a> {
    /// The folder; created if need be.
    pub(super) folder: PathBuf,
    /// The address of a folder that takes the place of the published one.
    pub(super) mirror: Option<String>,
    /// How files are asked for.
    pub(super) client: Client,
    /// Asked several times a second.
    pub(super) cancellation: &'a CancellationToken,
    /// Shown the bytes that have arrived.
    pub(super) progress: &'a dyn ProgressObserver,
}

impl<'a> Cache<'a> {
    /// The user's cache, for the sake of `file`.
    ///
    /// # Errors
    /// When the system names no folder for caches, or the environment a mirror that is no address.
    pub(super) fn of_user(
        file: &Published,
        cancellation: &'a CancellationToken,
        progress: &'a dyn ProgressObserver,
    ) -> Result<Self, PublishedWeightsError> {
        let folder = dirs::cache_dir().ok_or_else(|| PublishedWeightsError::NoCacheFolder {
            address: file.address(),
        })?;
        Ok(Self {
            folder: folder.join("loop-dml").join("weights"),
            mirror: mirror(std::env::var_os(MIRROR))?,
            client: Client {
                patience: PATIENCE,
                proxy: Proxy::try_from_env(),
            },
            cancellation,
            progress,
        })
    }

    /// The path of `file` in the cache, downloaded if it is not there and verified.
    ///
    /// # Errors
    /// When it is damaged, or cannot be had.
    pub(super) fn locate(&self, file: &Published) -> Result<PathBuf, PublishedWeightsError> {
        let item = Item {
            cache: self,
            file,
            address: match &self.mirror {
                Some(folder) => format!("{folder}/{}", file.name),
                None => file.address(),
            },
            path: self.folder.join(file.name),
        };
        // Needs no lock, so that a folder which only others may write serves too.
        if !item.path.exists() {
            let _lock = item.lock()?;
            // Another process may have brought it meanwhile.
            if !item.path.exists() {
                item.download()?;
                return Ok(item.path);
            }
        }
        item.verify()?;
        Ok(item.path)
    }
}

/// The mirror in the environment, without the slash at its end.
fn mirror(value: Option<std::ffi::OsString>) -> Result<Option<String>, PublishedWeightsError> {
    let value = value.unwrap_or_default().to_string_lossy().into_owned();
    match value.trim_end_matches('/') {
        "" => Ok(None),
        folder if folder.starts_with("http://") || folder.starts_with("https://") => {
            Ok(Some(folder.to_string()))
        }
        _ => Err(PublishedWeightsError::Mirror { value }),
    }
}

/// A file of the cache.
struct Item<'a> {
    cache: &'a Cache<'a>,
    file: &'a Published,
    /// Where it is downloaded from.
    address: String,
    /// Where it is kept.
    path: PathBuf,
}

impl Item<'_> {
    /// Compares the file at its path with what was published.
    fn verify(&self) -> Result<(), PublishedWeightsError> {
        let found = self.hash(&self.path)?;
        match found == self.file.sha256 {
            true => Ok(()),
            false => Err(PublishedWeightsError::Damaged {
                path: self.path.clone(),
                found,
                expected: self.file.sha256,
                address: self.address.clone(),
            }),
        }
    }

    fn lock(&self) -> Result<File, PublishedWeightsError> {
        let folder = &self.cache.folder;
        fs::create_dir_all(folder).map_err(self.cannot("create", folder))?;
        let path = self.beside(LOCK);
        let lock = wait_for_lock(&path, self.cache.cancellation, || {
            tracing::info!(
                "waiting for another process that downloads {}",
                self.file.name
            );
        });
        lock.map_err(|error| match error {
            NotLocked::Cancelled => PublishedWeightsError::Cancelled,
            NotLocked::Io(error) => self.cannot("lock", &path)(error),
        })
    }

    /// Brings the file to its path; whoever does so holds the lock.
    fn download(&self) -> Result<(), PublishedWeightsError> {
        let part = self.beside(PART);
        let have = fs::metadata(&part).map_or(0, |part| part.len());
        // A run that was killed before the renaming has left all of it.
        if have == 0 || self.hash(&part)? != self.file.sha256 {
            self.transfer(&part, have)?;
            let found = self.hash(&part)?;
            if found != self.file.sha256 {
                fs::remove_file(&part).map_err(self.cannot("remove", &part))?;
                return Err(PublishedWeightsError::OtherFile {
                    address: self.address.clone(),
                    found,
                    expected: self.file.sha256,
                    path: self.path.clone(),
                });
            }
        }
        fs::rename(&part, &self.path).map_err(self.cannot("rename", &part))?;
        tracing::info!("saved {}", self.path.display());
        Ok(())
    }

    /// Downloads what is missing of the file to `part`, of which there are `have` bytes.
    fn transfer(&self, part: &Path, have: u64) -> Result<(), PublishedWeightsError> {
        let opened = self
            .cache
            .client
            .open(&self.address, have, self.cache.cancellation);
        let mut transfer = opened.map_err(|failure| match failure {
            Failure::Cancelled => PublishedWeightsError::Cancelled,
            failure => PublishedWeightsError::Unavailable {
                address: self.address.clone(),
                reason: failure.to_string(),
                path: self.path.clone(),
            },
        })?;
        let unwritable = || self.cannot("write", part);
        let mut file = open_at(part, transfer.start).map_err(unwritable())?;
        tracing::info!("downloading {}", self.address);
        let mut arrived = transfer.start;
        self.report(arrived, transfer.length);
        loop {
            match transfer.next(self.cache.cancellation) {
                Ok(Some(piece)) => {
                    file.write_all(&piece).map_err(unwritable())?;
                    arrived += piece.len() as u64;
                    self.report(arrived, transfer.length);
                }
                Ok(None) => break,
                Err(Failure::Cancelled) => return Err(PublishedWeightsError::Cancelled),
                Err(failure) => {
                    return Err(PublishedWeightsError::BrokenOff {
                        address: self.address.clone(),
                        arrived,
                        reason: failure.to_string(),
                        path: self.path.clone(),
                    });
                }
            }
        }
        self.cache.progress.finish(self.file.name);
        // After a crash of the machine a file that has its name has its contents.
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

    /// The file's path with another ending.
    fn beside(&self, ending: &str) -> PathBuf {
        self.cache
            .folder
            .join(format!("{}.{ending}", self.file.name))
    }

    fn hash(&self, path: &Path) -> Result<String, PublishedWeightsError> {
        sha256(path).map_err(self.cannot("read", path))
    }

    fn cannot<'a>(
        &'a self,
        doing: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> PublishedWeightsError + 'a {
        move |source| PublishedWeightsError::Cache {
            doing,
            path: path.to_path_buf(),
            address: self.address.clone(),
            source,
        }
    }
}

/// The file to be written from byte `start` on; what it has after that is dropped.
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
    /// Bytes read at once.
    const PIECE: usize = 1 << 18;
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => hash.update(&piece[..count]),
        }
    }
    Ok(hex(hash))
}

/// The hash in hexadecimal digits.
pub(super) fn hex(hash: Sha256) -> String {
    let digits = hash
        .finalize()
        .into_iter()
        .map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_the_address_of_a_folder_or_none() {
        let of = |value: &str| mirror(Some(value.into()));
        for value in ["http://host/weights", "http://host/weights/"] {
            assert_eq!(of(value).unwrap().unwrap(), "http://host/weights");
        }
        assert!(mirror(None).unwrap().is_none() && of("").unwrap().is_none());
        let error = of("/srv/weights").unwrap_err();
        assert!(error.is_users());
        let text = error.to_string();
        assert!(
            text.starts_with("LOOP_DML_WEIGHTS_MIRROR=/srv/weights: "),
            "{text}"
        );
    }
}
