//! What can be wrong with an image file.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::conversion::advice;
use crate::data::bounding_box::BoundingBox;
use crate::data::list_line::ListLine;

/// An image file that cannot be used.
///
/// Causes are kept as text, so that the error can be cloned and sent between threads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}; check that it exists and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// The file is larger than any image.
    #[error("{} is larger than 1 GiB, the most that is read; shrink or remove it", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an image of a format that is read.
    #[error("{} is {found}, which is not supported; {}", path.display(), advice(found))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind of file, with an article.
        found: String,
    },
    /// The file ends before its image does.
    #[error("{} is truncated; copy or download it again, or remove it", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The decoder refuses the file.
    #[error("{} cannot be decoded ({reason}); replace or remove it", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The decoder's message.
        reason: String,
    },
    /// The image is larger, smaller or narrower than any photograph.
    #[error("{} has {width} x {height} pixels; {hint}", path.display())]
    ImplausibleSize {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What to do about it.
        hint: &'static str,
    },
    /// The bounding box that a list gives is not inside the image.
    #[error(
        "the bounding box {bounding_box} (x_1, y_1, x_2, y_2: left, top, right, bottom) is not inside {}, which has \
         {width} x {height} pixels when upright; correct it, or leave all four empty for the whole image",
        path.display()
    )]
    BoxOutside {
        /// The file.
        path: PathBuf,
        /// The box.
        bounding_box: BoundingBox,
        /// Width of the upright image in pixels.
        width: u32,
        /// Height of the upright image in pixels.
        height: u32,
    },
    /// A row of features, which has no picture.
    #[error("{name} has features and no picture")]
    NoPicture {
        /// The name of the row.
        name: String,
    },
    /// The file is named in a list.
    #[error("{line}: {source}")]
    Listed {
        /// The line that names the file.
        line: ListLine,
        /// What is wrong with the file.
        source: Box<ImageError>,
    },
}

impl ImageError {
    /// The error of a file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        }
    }

    /// The error of a file that a decoder refuses.
    pub(super) fn broken(path: &Path, reason: impl ToString) -> Self {
        // Decoders' messages may contain line breaks.
        let reason = reason.to_string();
        let words: Vec<&str> = reason.split_whitespace().collect();
        Self::Broken {
            path: path.into(),
            reason: words.join(" "),
        }
    }
}
