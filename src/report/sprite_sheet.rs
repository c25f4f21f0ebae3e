//! Many thumbnails in one JPEG image, which takes fewer bytes than as many images.

use image::{Rgb, RgbImage, imageops};

use super::thumbnail::{QUALITIES, Thumbnail, encode, shrink};

/// Tiles in a row.
const COLUMNS: usize = 32;
/// The background of tiles, and the tile of an image that cannot be read.
const BACKGROUND: Rgb<u8> = Rgb([128; 3]);
/// The side of the smallest tiles, which are as small as any number of images allows.
const SMALLEST: u32 = 8;

/// An image with a tile for each of many images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpriteSheet {
    /// The tiles.
    pub sheet: Thumbnail,
    /// The side of a tile in pixels.
    pub side: u32,
    /// Tiles in a row.
    pub columns: usize,
}

impl SpriteSheet {
    /// Puts images on tiles of at most `side` pixels. Quality, then size of the tiles are reduced until the data URI
    /// has at most `max_bytes`. `None` is an image that cannot be read.
    pub(super) fn new(images: &[Option<RgbImage>], side: u32, max_bytes: usize) -> Self {
        let columns = COLUMNS.min(images.len().max(1));
        let longest = images
            .iter()
            .flatten()
            .map(|image| image.width().max(image.height()));
        let mut side = side.min(longest.max().unwrap_or(SMALLEST)).max(SMALLEST);
        loop {
            let picture = tiles(images, side, columns);
            for quality in QUALITIES {
                let sheet = encode(&picture, quality);
                let is_last = side <= SMALLEST && Some(&quality) == QUALITIES.last();
                if sheet.uri.len() <= max_bytes || is_last {
                    return Self {
                        sheet,
                        side,
                        columns,
                    };
                }
            }
            side = (side / 2).max(SMALLEST);
        }
    }
}

fn tiles(images: &[Option<RgbImage>], side: u32, columns: usize) -> RgbImage {
    let rows = images.len().div_ceil(columns).max(1);
    let mut picture = RgbImage::from_pixel(columns as u32 * side, rows as u32 * side, BACKGROUND);
    for (index, image) in images.iter().enumerate() {
        let Some(image) = image else { continue };
        let tile = shrink(image, side);
        let left = (index % columns) as u32 * side + (side - tile.width()) / 2;
        let top = (index / columns) as u32 * side + (side - tile.height()) / 2;
        imageops::replace(&mut picture, &tile, left.into(), top.into());
    }
    picture
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn bytes_are_bounded_also_for_a_thousand_images_of_noise() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let noise = RgbImage::from_fn(56, 56, |_, _| Rgb(random.random()));
        let images = vec![Some(noise); 1000];
        let sheet = SpriteSheet::new(&images, 56, 600_000);
        assert!(
            sheet.sheet.uri.len() <= 600_000,
            "{}",
            sheet.sheet.uri.len()
        );
    }

    #[test]
    fn images_that_cannot_be_read_keep_their_place() {
        let red = RgbImage::from_pixel(20, 10, Rgb([250, 0, 0]));
        let sheet = SpriteSheet::new(&[None, Some(red)], 20, 50_000);
        assert_eq!((sheet.side, sheet.columns), (20, 2));
        assert_eq!((sheet.sheet.width, sheet.sheet.height), (40, 20));
        let empty = SpriteSheet::new(&[], 20, 50_000);
        assert_eq!(empty.sheet.width, SMALLEST);
    }
}
