//! The deterministic resize before random augmentation. A transform names the resizes that it needs of
//! an image, and the image cache stores exactly these.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

/// Values of a pixel.
const CHANNELS: usize = 3;

/// The target size of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ResizeSpec {
    /// A square of this side; the aspect ratio is not kept.
    Square(u32),
    /// A shorter side of this length; the aspect ratio is kept.
    ShorterSide(u32),
}

impl ResizeSpec {
    /// Returns the shorter side, in pixels, that the original needs to avoid enlarging.
    pub(super) fn min_side(self) -> u32 {
        match self {
            Self::Square(side) | Self::ShorterSide(side) => side,
        }
    }

    /// Resizes an image.
    pub(super) fn apply(self, image: &RgbImage) -> Pixels {
        let (width, height) = self.size(image.dimensions());
        let bytes = resize(image, None, (width, height));
        Pixels {
            width,
            height,
            bytes,
        }
    }

    /// Returns width and height after resizing an image of this size. The longer side is rounded down,
    /// as torchvision does.
    pub(super) fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        let longer = |side: u32, long: u32, short: u32| {
            let longer = u64::from(side) * u64::from(long) / u64::from(short.max(1));
            u32::try_from(longer).unwrap_or(u32::MAX)
        };
        match self {
            Self::Square(side) => (side, side),
            Self::ShorterSide(side) if width <= height => (side, longer(side, height, width)),
            Self::ShorterSide(side) => (longer(side, width, height), side),
        }
    }
}

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rectangle {
    /// Left edge.
    pub(crate) x: u32,
    /// Upper edge.
    pub(crate) y: u32,
    /// Width, at least 1.
    pub(crate) width: u32,
    /// Height, at least 1.
    pub(crate) height: u32,
}

/// An 8 bit RGB image, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: Vec<u8>,
}

impl Pixels {
    /// Returns width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Returns the whole image.
    pub(super) fn into_image(self) -> RgbImage {
        rgb_image((self.width, self.height), self.bytes)
    }

    /// Returns a part of the image, which must be inside the image.
    pub(super) fn crop(&self, part: Rectangle) -> RgbImage {
        let row = self.width as usize * CHANNELS;
        let (left, length) = (part.x as usize * CHANNELS, part.width as usize * CHANNELS);
        let mut bytes = Vec::with_capacity(length * part.height as usize);
        for y in part.y as usize..(part.y + part.height) as usize {
            bytes.extend_from_slice(&self.bytes[y * row + left..][..length]);
        }
        rgb_image((part.width, part.height), bytes)
    }

    /// Returns a part of the image, resized to a square.
    pub(super) fn crop_resized(&self, part: Rectangle, side: u32) -> RgbImage {
        let source = ImageRef::new(self.width, self.height, &self.bytes, PixelType::U8x3)
            .expect("there are three bytes per pixel");
        rgb_image((side, side), resize_ref(&source, Some(part), (side, side)))
    }
}

/// Resizes an image so that its longer side has `longer` pixels. The aspect ratio is kept.
pub(crate) fn with_longer_side(image: &RgbImage, longer: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = f64::from(longer) / f64::from(width.max(height));
    let [width, height] =
        [width, height].map(|side| ((f64::from(side) * scale).round() as u32).max(1));
    rgb_image((width, height), resize(image, None, (width, height)))
}

fn rgb_image((width, height): (u32, u32), bytes: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(width, height, bytes).expect("there are three bytes per pixel")
}

fn resize(image: &RgbImage, part: Option<Rectangle>, size: (u32, u32)) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let source = ImageRef::new(width, height, image.as_raw(), PixelType::U8x3)
        .expect("an RgbImage has three bytes per pixel");
    resize_ref(&source, part, size)
}

/// Resizes bilinearly, with antialiasing when shrinking, as PIL and torchvision do.
fn resize_ref(source: &ImageRef, part: Option<Rectangle>, (width, height): (u32, u32)) -> Vec<u8> {
    let mut target = Image::new(width, height, PixelType::U8x3);
    let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    if let Some(part) = part {
        let [x, y, width, height] = [part.x, part.y, part.width, part.height].map(f64::from);
        options = options.crop(x, y, width, height);
    }
    Resizer::new()
        .resize(source, &mut target, &options)
        .expect("both images have the same pixel type, and the part is inside");
    target.into_vec()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([x * 53 % 256, y * 71 % 256, x * y * 29 % 256].map(|c| c as u8))
        })
    }

    #[test]
    fn shorter_side_is_as_specified_and_the_aspect_is_kept() {
        let resize = ResizeSpec::ShorterSide(20);
        assert_eq!(resize.size((500, 375)), (26, 20));
        assert_eq!(resize.size((375, 500)), (20, 26));
        assert_eq!(resize.size((10, 10)), (20, 20));
        assert_eq!(resize.apply(&pattern(40, 30)).size(), (26, 20));
        assert_eq!(ResizeSpec::Square(7).apply(&pattern(40, 30)).size(), (7, 7));
    }

    #[test]
    fn a_crop_contains_the_pixels_of_its_rectangle() {
        let image = pattern(9, 7);
        let pixels = Pixels {
            width: 9,
            height: 7,
            bytes: image.as_raw().clone(),
        };
        let part = Rectangle {
            x: 2,
            y: 3,
            width: 5,
            height: 4,
        };
        let crop = pixels.crop(part);
        assert_eq!(
            crop,
            image::imageops::crop_imm(&image, 2, 3, 5, 4).to_image()
        );
        // Resizing a part to its own size changes nothing.
        let square = Rectangle { width: 4, ..part };
        assert_eq!(pixels.crop_resized(square, 4), pixels.crop(square));
        assert_eq!(pixels.into_image(), image);
    }
}
