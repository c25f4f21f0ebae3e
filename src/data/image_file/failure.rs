//! Why bytes are not an image that can be used, without the file's name.

use std::io::ErrorKind;
use std::path::Path;

use super::error::ImageError;

/// The largest image that is decoded, in pixels: 300 MB as 8 bit RGB.
pub(crate) const MAXIMUM_PIXELS: u64 = 100_000_000;
/// The longer side of a decoded image must be less than this many times the shorter one. Resized by
/// its shorter side, a line of a million pixels would become gigabytes.
const MAXIMUM_ASPECT: u32 = 50;

/// Why a decoder cannot use a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The file ends before its image does.
    Truncated,
    /// A kind of image that is not read, with an article.
    Unsupported(String),
    /// The decoder's message.
    Broken(String),
    /// The image is larger, smaller or narrower than any photograph.
    ImplausibleSize {
        size: (u32, u32),
        hint: &'static str,
    },
}

impl Failure {
    /// The failure of a decoder with this message.
    pub(super) fn broken(reason: impl ToString) -> Self {
        Self::Broken(reason.to_string())
    }

    /// The failure of a decoder of the `image` crate.
    pub(super) fn of_image(error: image::ImageError) -> Self {
        match error {
            image::ImageError::IoError(error) => Self::of_io(error),
            error => Self::broken(error),
        }
    }

    /// The failure of reading from a file that was opened, or from memory.
    pub(super) fn of_io(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::broken(error),
        }
    }

    /// Returns the error of the file `path`.
    pub(super) fn at(self, path: &Path) -> ImageError {
        let path = path.into();
        match self {
            Self::Truncated => ImageError::Truncated { path },
            Self::Unsupported(found) => ImageError::Unsupported { path, found },
            Self::Broken(reason) => ImageError::broken(&path, reason),
            Self::ImplausibleSize {
                size: (width, height),
                hint,
            } => ImageError::ImplausibleSize {
                path,
                width,
                height,
                hint,
            },
        }
    }
}

/// Returns width and height in pixels if an image of this size is decoded.
///
/// # Errors
/// [`Failure::ImplausibleSize`].
pub(super) fn plausible((width, height): (u32, u32)) -> Result<(u32, u32), Failure> {
    let (shorter, longer) = (width.min(height), width.max(height));
    let hint = match u64::from(width) * u64::from(height) {
        0 => "replace or remove it",
        pixels if pixels > MAXIMUM_PIXELS => "shrink it to at most 100 million, or remove it",
        _ if longer / shorter >= MAXIMUM_ASPECT => {
            "one side is at least 50 times the other; crop or remove it"
        }
        _ => return Ok((width, height)),
    };
    Err(Failure::ImplausibleSize {
        size: (width, height),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_sizes() {
        for size in [(20_000, 20_000), (0, 5), (60_000, 1), (10, 500)] {
            let failure = plausible(size).unwrap_err();
            let (width, height) = size;
            let message = failure.at(Path::new("x.png")).to_string();
            let expected = format!("x.png has {width} x {height} pixels");
            assert!(message.starts_with(&expected), "{message}");
        }
        for size in [(10, 499), (10_000, 10_000), (1, 1)] {
            assert_eq!(plausible(size), Ok(size));
        }
    }
}
