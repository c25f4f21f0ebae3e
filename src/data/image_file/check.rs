//! The check of an image file without decoding it.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::ImageFormat;

use super::error::ImageError;
use super::failure::{Failure, plausible};
use super::{MAGIC_BYTES, bmp, gif, image_format, jpeg, png, read, tiff, webp};
use crate::panic_capture::catch_quietly;

/// Bytes read to find the header. A file with a longer header is read whole.
const HEAD_BYTES: u64 = 16 * 1024;
const _: () = assert!(HEAD_BYTES as usize >= MAGIC_BYTES);

/// Returns width and height in pixels of the image in `path` as stored, from its header.
///
/// The check finds other formats, broken headers and truncated files. It does not decode. Truncated are
/// JPEG and PNG files without the end of their image, and files shorter than their header says. Of a GIF
/// file, only the first frame is used and must be complete.
///
/// # Errors
/// [`ImageError::Unreadable`], [`ImageError::TooLarge`], [`ImageError::Unsupported`],
/// [`ImageError::Broken`], [`ImageError::Truncated`] or [`ImageError::ImplausibleSize`].
pub fn check_image_file(path: &Path) -> Result<(u32, u32), ImageError> {
    let unreadable = |error| ImageError::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut head = Vec::with_capacity(HEAD_BYTES.min(length) as usize);
    (&mut file)
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let format = image_format(path, &head)?;
    if let ImageFormat::Jpeg | ImageFormat::Png = format {
        if ends_with(&mut file, end_marker(format), length).map_err(unreadable)?
            && let Ok(size) = size(format, &head)
        {
            return plausible(size).map_err(|failure| failure.at(path));
        }
        // Rare: a long header, bytes after the image, or a broken file.
        let bytes = read(path)?;
        return check_bytes(format, &bytes).map_err(|failure| failure.at(path));
    }
    file.rewind().map_err(unreadable)?;
    check_reader(format, &head, BufReader::new(file), length).map_err(|failure| failure.at(path))
}

/// Checks the contents of a file as [`check_image_file`] does.
pub(super) fn check_bytes(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), Failure> {
    let complete = match format {
        ImageFormat::Jpeg => jpeg::segments::is_complete(bytes),
        ImageFormat::Png => png::is_complete(bytes),
        _ => return check_reader(format, bytes, Cursor::new(bytes), bytes.len() as u64),
    };
    match complete {
        true => plausible(size(format, bytes)?),
        false => Err(Failure::Truncated),
    }
}

/// Checks a file whose sizes are in its header.
fn check_reader<R: std::io::BufRead + Seek>(
    format: ImageFormat,
    head: &[u8],
    reader: R,
    length: u64,
) -> Result<(u32, u32), Failure> {
    let size = catch_quietly(|| match format {
        ImageFormat::Gif => gif::check(reader),
        ImageFormat::WebP => webp::check(reader, length),
        ImageFormat::Tiff => tiff::check(reader, length),
        _ => bmp::check(head, length),
    });
    plausible(size.unwrap_or_else(|_| Err(Failure::broken("the decoder panicked")))?)
}

fn size(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), Failure> {
    let size = catch_quietly(|| match format {
        ImageFormat::Png => png::size(bytes),
        _ => jpeg::size(bytes),
    });
    size.unwrap_or_else(|_| Err(Failure::broken("the decoder panicked")))
}

/// Returns the bytes that end an image of this format.
fn end_marker(format: ImageFormat) -> &'static [u8] {
    match format {
        ImageFormat::Png => png::END,
        _ => jpeg::segments::END,
    }
}

fn ends_with(file: &mut File, end: &[u8], length: u64) -> std::io::Result<bool> {
    let mut tail = vec![0; end.len().min(length as usize)];
    file.seek(SeekFrom::End(-(tail.len() as i64)))?;
    file.read_exact(&mut tail)?;
    Ok(tail == end)
}
