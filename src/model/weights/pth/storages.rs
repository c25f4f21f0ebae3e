//! The storages of a `.pth` file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::rc::Rc;

use zip::ZipArchive;

use super::error::PthError;
use super::machine::Pickled;
use super::values::{Value, Values};

/// An open `.pth` file.
pub(in crate::model::weights) type Input = Box<dyn SeekRead>;

/// A file, or its contents in memory.
pub(in crate::model::weights) trait SeekRead: BufRead + Seek {}

impl<T: BufRead + Seek> SeekRead for T {}

/// The storages of a `.pth` file, which are read one at a time.
pub(super) struct Storages {
    source: Source,
    /// The storage that was read last, by key: tensors may share one.
    last: RefCell<Option<(String, Rc<Vec<u8>>)>>,
}

enum Source {
    /// Each is an entry of a zip archive.
    Archive {
        archive: RefCell<ZipArchive<Input>>,
        /// The archive's folder.
        folder: String,
    },
    /// They follow the pickles (before PyTorch 1.6).
    Ranges {
        file: RefCell<Input>,
        /// The bytes of each storage in the file.
        ranges: BTreeMap<String, Range<u64>>,
    },
}

impl Storages {
    /// The storages in `folder` of an archive.
    ///
    /// # Errors
    /// If their byte order is big-endian.
    pub(super) fn in_archive(
        mut archive: ZipArchive<Input>,
        folder: &str,
    ) -> Result<Self, PthError> {
        // Absent in files from before PyTorch 2.1.
        if let Ok(entry) = archive.by_name(&format!("{folder}/byteorder")) {
            let mut order = String::new();
            entry.take(16).read_to_string(&mut order)?;
            if order == "big" {
                return Err(PthError::BigEndian);
            }
        }
        Ok(Self::new(Source::Archive {
            archive: RefCell::new(archive),
            folder: folder.to_string(),
        }))
    }

    /// The storages that follow the pickles in `file`: `keys` is the list of their keys in the order of
    /// the file, and `values` has their types. Each is its length as a 64-bit number, then its numbers.
    ///
    /// # Errors
    /// If the file is truncated.
    pub(super) fn after_pickles(
        mut file: Input,
        keys: &Pickled,
        values: &Values,
    ) -> Result<Self, PthError> {
        let Value::List(keys_in_order) = keys.values.get(keys.top) else {
            return Err(PthError::Damaged);
        };
        let sizes = values.storage_sizes();
        let mut ranges = BTreeMap::new();
        let mut position = file.stream_position()?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(position))?;
        for &key in keys_in_order {
            let Value::Text(key) = keys.values.get(key) else {
                return Err(PthError::Damaged);
            };
            let &size = sizes
                .get(key.as_str())
                .ok_or_else(|| PthError::StorageType(key.clone()))?;
            let mut count = [0; 8];
            file.read_exact(&mut count)?;
            let start = position + count.len() as u64;
            let bytes = u64::from_le_bytes(count).checked_mul(size as u64);
            let end = bytes.and_then(|bytes| start.checked_add(bytes));
            let end = end.ok_or(PthError::Damaged)?;
            if end > length {
                return Err(PthError::Truncated {
                    needed: end,
                    found: length,
                });
            }
            ranges.insert(key.clone(), start..end);
            position = file.seek(SeekFrom::Start(end))?;
        }
        Ok(Self::new(Source::Ranges {
            file: RefCell::new(file),
            ranges,
        }))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            last: RefCell::default(),
        }
    }

    /// The bytes of the storage `key`.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub(super) fn read(&self, key: &str) -> Result<Rc<Vec<u8>>, PthError> {
        if let Some((last, bytes)) = &*self.last.borrow()
            && last == key
        {
            return Ok(Rc::clone(bytes));
        }
        // Frees the memory before the next storage is read.
        self.last.take();
        let bytes = Rc::new(self.source.read(key)?);
        self.last
            .replace(Some((key.to_string(), Rc::clone(&bytes))));
        Ok(bytes)
    }
}

impl Source {
    fn read(&self, key: &str) -> Result<Vec<u8>, PthError> {
        let mut bytes = Vec::new();
        match self {
            Self::Archive { archive, folder } => {
                let mut archive = archive.borrow_mut();
                // Reading to the end compares the archive's checksum.
                archive
                    .by_name(&format!("{folder}/data/{key}"))?
                    .read_to_end(&mut bytes)?;
            }
            Self::Ranges { file, ranges } => {
                let range = ranges.get(key).ok_or(PthError::Damaged)?;
                let length = range.end - range.start;
                let mut file = file.borrow_mut();
                file.seek(SeekFrom::Start(range.start))?;
                file.by_ref().take(length).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != length {
                    return Err(PthError::Truncated {
                        needed: range.end,
                        found: range.start + bytes.len() as u64,
                    });
                }
            }
        }
        Ok(bytes)
    }
}
