//! Plausible sizes of images. The decoder refuses areas that cannot be decoded.

use std::path::Path;

use super::problem::{Problem, Severity};
use crate::data::image_file::ImageError;

/// Longest side of a photograph in pixels. Longer ones are scans, maps and stitched pages.
const LONGEST_SIDE: u32 = 16_384;
/// Images with a shorter side are icons and tracking pixels.
const SHORTEST_SIDE: u32 = 16;
/// Images with a larger ratio of the longer to the shorter side are lines and banners.
const LARGEST_RATIO: u32 = 20;

/// Returns the problem of a size that is unusual for a photograph, or for the bounding box of an object in it: an
/// error if the longer side exceeds [`LONGEST_SIDE`], else a warning.
pub(super) fn unusual_size(
    path: &Path,
    (width, height): (u32, u32),
    is_box: bool,
) -> Option<Problem> {
    let (shorter, longer) = (width.min(height), width.max(height));
    let (severity, hint) = if longer > LONGEST_SIDE {
        let hint = "shrink it to sides of at most 16384 pixels, or remove it";
        (Severity::Error, hint)
    } else if shorter < SHORTEST_SIDE {
        let hint = match is_box {
            true => "this is its bounding box, and a side under 16 is unusual; check the box",
            false => {
                "a side under 16 is unusual for a photograph; check whether it is a placeholder"
            }
        };
        (Severity::Warning, hint)
    } else if u64::from(longer) > u64::from(LARGEST_RATIO) * u64::from(shorter) {
        let hint = match is_box {
            true => {
                "this is its bounding box, one side of which is over 20 times the other; check the box"
            }
            false => "one side is over 20 times the other; check whether it is a photograph",
        };
        (Severity::Warning, hint)
    } else {
        return None;
    };
    Some(Problem {
        severity,
        ..Problem::new(ImageError::ImplausibleSize {
            path: path.into(),
            width,
            height,
            hint,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive() {
        let severity = |size| unusual_size(Path::new("x.png"), size, false).map(|p| p.severity);
        for size in [(16, 320), (320, 16), (500, 375), (16_384, 6_000)] {
            assert_eq!(severity(size), None, "{size:?}");
        }
        for size in [(15, 15), (321, 16), (1, 400)] {
            assert_eq!(severity(size), Some(Severity::Warning), "{size:?}");
        }
        for size in [(16_385, 6_000), (2, 20_000)] {
            assert_eq!(severity(size), Some(Severity::Error), "{size:?}");
        }
    }
}
