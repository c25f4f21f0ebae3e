//! Making a cache: workers decode, one thread writes in order.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::{CacheSpec, format, unwritable};
use crate::data::prefetch::{BatchJob, Prefetcher};
use crate::data::resize::{Pixels, ResizeSpec};
use crate::data::{DataError, Split};
use crate::progress::{Progress, Unit};

/// Ends the name of a cache that is being made.
const PARTIAL: &str = ".partial";
/// Images that are decoded and written together.
const CHUNK: usize = 64;
/// Chunks decoded ahead of the one that is written: what bounds the memory.
const CHUNKS_AHEAD: usize = 2;

pub(super) struct Builder<'a> {
    split: &'a Split,
    spec: &'a CacheSpec<'a>,
}

/// The resizes of an image; none if it could not be read.
type Bases = Option<Vec<Pixels<'static>>>;

struct Decoding {
    split: Split,
    resizes: Vec<ResizeSpec>,
    min_side: Option<u32>,
    skip_broken: bool,
}

impl BatchJob for Decoding {
    type Sample = Bases;
    type Batch = Vec<Bases>;

    fn batches(&self) -> usize {
        self.split.labels().len().div_ceil(CHUNK)
    }

    fn batch_len(&self, batch: usize) -> usize {
        CHUNK.min(self.split.labels().len() - batch * CHUNK)
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<Bases, DataError> {
        let image = self.split.decode(batch * CHUNK + sample, self.min_side);
        match image {
            Ok(image) => Ok(Some(
                self.resizes
                    .iter()
                    .map(|resize| resize.apply(&image))
                    .collect(),
            )),
            Err(_) if self.skip_broken => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn collate(&self, _batch: usize, samples: Vec<Bases>) -> Vec<Bases> {
        samples
    }
}

/// Removes what a run that was killed has left behind of this cache; whoever builds holds its lock.
fn remove_leftovers(folder: &Path, key: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(key) && name.ends_with(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl<'a> Builder<'a> {
    pub(super) fn new(split: &'a Split, spec: &'a CacheSpec<'a>) -> Self {
        Self { split, spec }
    }

    /// Decodes all images into a temporary file beside `path` and renames it.
    pub(super) fn write(&self, path: &Path, key: &str) -> Result<(), DataError> {
        let folder = self.spec.folder;
        let unwritable = |error: std::io::Error| unwritable(path, error);
        remove_leftovers(folder, key).map_err(unwritable)?;
        let prefix = format!("{key}-");
        let mut temporary = tempfile::Builder::new();
        temporary.prefix(&prefix).suffix(PARTIAL);
        // As any file of the user's: others of a group may share the cache.
        #[cfg(unix)]
        temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut temporary = temporary.tempfile_in(folder).map_err(unwritable)?;
        self.write_to(temporary.as_file_mut(), path, key)?;
        temporary
            .persist(path)
            .map_err(|error| unwritable(error.error))?;
        Ok(())
    }

    fn write_to(&self, file: &mut File, path: &Path, key: &str) -> Result<(), DataError> {
        let unwritable = |error: std::io::Error| unwritable(path, error);
        let resizes = self.spec.resizes.len();
        let entries = self.split.labels().len() * resizes;
        let mut index = Vec::with_capacity(entries * format::ENTRY);
        let start = (format::HEADER + entries * format::ENTRY) as u64;
        let mut writer = BufWriter::new(file);
        writer.seek(SeekFrom::Start(start)).map_err(unwritable)?;

        let task = format!("caching {} images", self.split.name());
        let total = self.split.labels().len() as u64;
        let report = |done| {
            self.spec.progress.update(Progress {
                task: &task,
                done,
                total: Some(total),
                unit: Unit::Images,
            });
        };
        report(0);
        let mut done = 0;
        for chunk in self.decoding() {
            if self.spec.cancellation.is_cancelled() {
                return Err(DataError::Cancelled);
            }
            for image in chunk? {
                done += 1;
                report(done);
                let Some(image) = image else {
                    index.extend_from_slice(&vec![0; resizes * format::ENTRY]);
                    continue;
                };
                for resize in image {
                    writer.write_all(&resize.bytes).map_err(unwritable)?;
                    let checksum = crc32fast::hash(&resize.bytes);
                    for number in [resize.width, resize.height, checksum] {
                        index.extend_from_slice(&number.to_le_bytes());
                    }
                }
            }
        }
        self.spec.progress.finish(&task);
        writer.seek(SeekFrom::Start(0)).map_err(unwritable)?;
        let header = format::header(key, entries, &index);
        writer.write_all(&header).map_err(unwritable)?;
        writer.write_all(&index).map_err(unwritable)?;
        writer.flush().map_err(unwritable)?;
        // A cache that survives a crash of the machine has its contents before its name.
        writer.get_ref().sync_all().map_err(unwritable)
    }

    fn decoding(&self) -> Prefetcher<Decoding> {
        let CacheSpec {
            resizes,
            min_side,
            skip_broken,
            workers,
            ..
        } = *self.spec;
        let decoding = Decoding {
            split: self.split.clone(),
            resizes: resizes.to_vec(),
            min_side,
            skip_broken,
        };
        Prefetcher::new(Arc::new(decoding), workers, CHUNKS_AHEAD)
    }
}
