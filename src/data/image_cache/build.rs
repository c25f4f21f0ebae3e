//! Building a cache: workers decode, one thread writes in order.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::error::CacheError;
use super::format;
use super::spec::CacheSpec;
use crate::cancellation::CancellationToken;
use crate::data::images::Images;
use crate::data::prefetch::{BatchJob, Prefetcher};
use crate::data::resize::{Pixels, ResizeSpec};
use crate::progress::Unit;
use crate::temporary_files;

/// Suffix of a cache that is being built.
const PARTIAL: &str = ".partial";
/// Images that are decoded and written together.
const CHUNK: usize = 64;
/// Chunks decoded ahead of the one that is written. This bounds the memory.
const CHUNKS_AHEAD: usize = 2;

/// The resized versions of an image, or `None` if it could not be read.
type Resized = Option<Vec<Pixels<'static>>>;

/// Decodes and resizes all images, in chunks.
struct DecodeJob {
    images: Arc<dyn Images>,
    count: usize,
    resizes: Vec<ResizeSpec>,
    min_side: Option<u32>,
    skip_broken: bool,
    cancellation: CancellationToken,
}

impl BatchJob for DecodeJob {
    type Sample = Resized;
    type Batch = Vec<Resized>;
    type Error = CacheError;

    fn batches(&self) -> usize {
        self.count.div_ceil(CHUNK)
    }

    fn batch_len(&self, batch: usize) -> usize {
        CHUNK.min(self.count - batch * CHUNK)
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<Resized, CacheError> {
        // A chunk of large photographs takes many seconds.
        if self.cancellation.is_cancelled() {
            return Err(CacheError::Cancelled);
        }
        match self.images.image(batch * CHUNK + sample, self.min_side) {
            Ok(image) => Ok(Some(
                self.resizes
                    .iter()
                    .map(|resize| resize.apply(&image))
                    .collect(),
            )),
            Err(_) if self.skip_broken => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn collate(&self, _batch: usize, samples: Vec<Resized>) -> Vec<Resized> {
        samples
    }
}

/// Removes leftovers of this cache from killed runs. The caller holds the lock.
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

/// Decodes all images into a temporary file beside `path` and renames it.
///
/// # Errors
/// If an image cannot be read, the file cannot be written, or the work is cancelled.
pub(super) fn build(spec: &CacheSpec, path: &Path, key: &str) -> Result<(), CacheError> {
    let unwritable = |error: io::Error| CacheError::unwritable(path, &error);
    remove_leftovers(spec.options.folder, key).map_err(unwritable)?;
    let prefix = format!("{key}-");
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(&prefix).suffix(PARTIAL);
    // The permissions of an ordinary file, since a group may share the cache.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = temporary
        .tempfile_in(spec.options.folder)
        .map_err(unwritable)?;
    let _registered = temporary_files::register(temporary.path());
    write(spec, temporary.as_file_mut(), path, key)?;
    temporary
        .persist(path)
        .map_err(|error| unwritable(error.error))?;
    Ok(())
}

fn write(spec: &CacheSpec, file: &mut File, path: &Path, key: &str) -> Result<(), CacheError> {
    let unwritable = |error: io::Error| CacheError::unwritable(path, &error);
    let versions = spec.options.resizes.len();
    let entries = spec.count * versions;
    let mut index = Vec::with_capacity(entries * format::ENTRY);
    let start = (format::HEADER + entries * format::ENTRY) as u64;
    let mut writer = BufWriter::new(file);
    writer.seek(SeekFrom::Start(start)).map_err(unwritable)?;

    let task = format!("caching {} images", spec.split);
    tracing::info!("caching {} {} images", spec.count, spec.split);
    let monitor = spec.options.monitor();
    let task = monitor.task(task, Some(spec.count), Unit::Images);
    for chunk in decode(spec) {
        for image in chunk? {
            task.advance(1)?;
            let Some(image) = image else {
                index.extend_from_slice(&vec![0; versions * format::ENTRY]);
                continue;
            };
            for pixels in image {
                writer.write_all(&pixels.bytes).map_err(unwritable)?;
                let checksum = crc32fast::hash(&pixels.bytes);
                for number in [pixels.width, pixels.height, checksum] {
                    index.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
    }
    task.finish();
    writer.seek(SeekFrom::Start(0)).map_err(unwritable)?;
    let header = format::header(key, entries, &index);
    writer.write_all(&header).map_err(unwritable)?;
    writer.write_all(&index).map_err(unwritable)?;
    writer.flush().map_err(unwritable)?;
    // The contents must reach the disk before the rename, in case the machine crashes.
    writer.get_ref().sync_all().map_err(unwritable)
}

fn decode(spec: &CacheSpec) -> Prefetcher<DecodeJob> {
    let job = DecodeJob {
        images: Arc::clone(spec.images),
        count: spec.count,
        resizes: spec.options.resizes.to_vec(),
        min_side: spec.options.min_side,
        skip_broken: spec.options.skip_broken,
        cancellation: spec.options.cancellation.clone(),
    };
    Prefetcher::new(Arc::new(job), spec.options.workers, CHUNKS_AHEAD)
}
