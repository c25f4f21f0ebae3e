//! Thumbnails: small JPEG images as data URIs, of bounded size.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use turbojpeg::{Compressor, PixelFormat, Subsamp};

use crate::data::{ImageError, read_image_file_reduced, with_longer_side};

/// The qualities that are tried, from the best on, until an image is small enough.
pub(super) const QUALITIES: [i32; 6] = [80, 70, 55, 40, 25, 10];

/// The start of the data URI of a JPEG image.
const PREFIX: &str = "data:image/jpeg;base64,";

/// The size of thumbnails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThumbnailSpec {
    /// The longer side in pixels, at least 1. Smaller images keep their size.
    pub side: u32,
    /// The most bytes of a data URI. Quality, then size are reduced until it is that small.
    pub max_bytes: usize,
}

/// A thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The image: `data:image/jpeg;base64,…`.
    pub uri: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

impl Default for ThumbnailSpec {
    /// 96 pixels and 8,000 bytes: a photo at this size has 3,000 to 6,000.
    fn default() -> Self {
        Self {
            side: 96,
            max_bytes: 8_000,
        }
    }
}

impl ThumbnailSpec {
    /// Makes the thumbnail of an image. The aspect ratio is kept, except that a side has at least 1 pixel.
    pub fn thumbnail(self, image: &RgbImage) -> Thumbnail {
        let mut side = self.side;
        loop {
            let scaled = shrink(image, side);
            for quality in QUALITIES {
                let thumbnail = encode(&scaled, quality);
                if thumbnail.uri.len() <= self.max_bytes || (side <= 1 && quality == QUALITIES[5]) {
                    return thumbnail;
                }
            }
            side = (side / 2).max(1);
        }
    }

    /// Reads an image file and makes its thumbnail.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub fn thumbnail_of_file(self, path: &Path) -> Result<Thumbnail, ImageError> {
        Ok(self.thumbnail(&read_image_file_reduced(path, self.side)?))
    }
}

/// Returns the image with its longer side at most `side`.
pub(super) fn shrink(image: &RgbImage, side: u32) -> RgbImage {
    if image.width().max(image.height()) <= side {
        return image.clone();
    }
    with_longer_side(image, side)
}

/// Encodes an image as it is.
pub(super) fn encode(image: &RgbImage, quality: i32) -> Thumbnail {
    let (width, height) = image.dimensions();
    let pixels = turbojpeg::Image {
        pixels: image.as_raw().as_slice(),
        width: width as usize,
        pitch: width as usize * 3,
        height: height as usize,
        format: PixelFormat::RGB,
    };
    let encoded = || -> turbojpeg::Result<Vec<u8>> {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(quality)?;
        compressor.set_subsamp(Subsamp::Sub2x2)?;
        compressor.set_optimize(true)?;
        compressor.compress_to_vec(pixels)
    };
    // The image is valid and small, so that only exhausted memory can be the cause.
    let bytes = encoded().expect("a small RGB image can be encoded");
    let mut uri = String::from(PREFIX);
    STANDARD.encode_string(bytes, &mut uri);
    Thumbnail { uri, width, height }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Noise, which compresses worst.
    fn noise(width: u32, height: u32) -> RgbImage {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        RgbImage::from_fn(width, height, |_, _| Rgb(random.random()))
    }

    fn decoded(thumbnail: &Thumbnail) -> RgbImage {
        let base64 = thumbnail.uri.strip_prefix(PREFIX).unwrap();
        let bytes = STANDARD.decode(base64).unwrap();
        image::load_from_memory(&bytes).unwrap().into_rgb8()
    }

    #[test]
    fn longer_side_is_bounded_and_small_images_keep_their_size() {
        let spec = ThumbnailSpec {
            side: 60,
            max_bytes: 50_000,
        };
        for (size, expected) in [
            ((600, 300), (60, 30)),
            ((100, 250), (24, 60)),
            ((20, 10), (20, 10)),
            ((5000, 1), (60, 1)),
            ((1, 1), (1, 1)),
        ] {
            let image = RgbImage::from_pixel(size.0, size.1, Rgb([10, 200, 30]));
            let thumbnail = spec.thumbnail(&image);
            assert_eq!((thumbnail.width, thumbnail.height), expected);
            let shown = decoded(&thumbnail);
            assert_eq!(shown.dimensions(), expected);
            let Rgb([r, g, b]) = shown.get_pixel(0, 0);
            assert!(*r < 20 && *g > 190 && *b < 40, "{r} {g} {b}");
        }
    }

    #[test]
    fn bytes_are_bounded_also_for_noise() {
        for max_bytes in [1_000, 3_000, 8_000] {
            let spec = ThumbnailSpec {
                side: 96,
                max_bytes,
            };
            let thumbnail = spec.thumbnail(&noise(300, 200));
            assert!(thumbnail.uri.len() <= max_bytes, "{}", thumbnail.uri.len());
        }
    }

    #[test]
    fn files_are_read_and_broken_ones_are_errors() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.png");
        noise(200, 100).save(&path).unwrap();
        let spec = ThumbnailSpec::default();
        assert_eq!(spec.thumbnail_of_file(&path).unwrap().width, 96);
        std::fs::write(&path, b"no image").unwrap();
        assert!(spec.thumbnail_of_file(&path).is_err());
    }
}
