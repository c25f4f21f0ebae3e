//! The bounding box of an object in an image.

use std::fmt;

use image::{RgbImage, imageops};

/// One side of a box must be less than this many times the other, as those of an image. Resized by its
/// shorter side, a line of many pixels would become gigabytes.
const MAXIMUM_ASPECT: u32 = 50;

/// A rectangle of an image in pixels, counted from the upper left corner of the upright image. Right and
/// bottom are exclusive: the size is `right − left` × `bottom − top`, at least 1 × 1.
///
/// It prints as `left,top,right,bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoundingBox {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl BoundingBox {
    /// Makes the box with the edges left, top, right and bottom, which are rounded to the nearest pixel, ties to
    /// even, as Pillow's `Image.crop` does.
    ///
    /// # Errors
    /// Why this is not a box.
    pub(in crate::data) fn new(edges: [f64; 4]) -> Result<Self, &'static str> {
        let edges = edges.map(f64::round_ties_even);
        // The test is also false for NaN.
        let in_range = |edge: &f64| (0.0..=f64::from(i32::MAX)).contains(edge);
        if !edges.iter().all(in_range) {
            return Err("an edge is outside of every image");
        }
        let [left, top, right, bottom] = edges.map(|edge| edge as u32);
        if left >= right || top >= bottom {
            return Err("it is empty: x_1 must be less than x_2, and y_1 less than y_2");
        }
        let (shorter, longer) = {
            let (width, height) = (right - left, bottom - top);
            (width.min(height), width.max(height))
        };
        match longer / shorter >= MAXIMUM_ASPECT {
            true => Err("one side is at least 50 times the other"),
            false => Ok(Self {
                left,
                top,
                right,
                bottom,
            }),
        }
    }

    /// Returns width and height in pixels.
    pub fn size(self) -> (u32, u32) {
        (self.right - self.left, self.bottom - self.top)
    }

    /// Returns whether an upright image of this width and height contains the box.
    pub fn is_inside(self, (width, height): (u32, u32)) -> bool {
        self.right <= width && self.bottom <= height
    }

    /// Returns the part of an upright image in the box, which must be inside the image.
    pub(in crate::data) fn crop(self, image: &RgbImage) -> RgbImage {
        let (width, height) = self.size();
        imageops::crop_imm(image, self.left, self.top, width, height).to_image()
    }
}

impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            left,
            top,
            right,
            bottom,
        } = self;
        write!(f, "{left},{top},{right},{bottom}")
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn edges_are_rounded_as_pillow_rounds_them() {
        // Pillow 13: Image.new("RGB", (99, 99)).crop((0.5, 1.5, 20.4, 30.6)).size == (20, 29)
        let rounded = BoundingBox::new([0.5, 1.5, 20.4, 30.6]).unwrap();
        assert_eq!(rounded.to_string(), "0,2,20,31");
        assert_eq!(rounded.size(), (20, 29));
        let near_zero = BoundingBox::new([-0.4, -0.0, 5.0, 5.0]).unwrap();
        assert_eq!(near_zero.to_string(), "0,0,5,5");
    }

    #[test]
    fn right_and_bottom_are_exclusive() {
        let image = RgbImage::from_fn(10, 8, |x, y| Rgb([x as u8, y as u8, 0]));
        let part = BoundingBox::new([2.0, 3.0, 10.0, 8.0]).unwrap();
        let crop = part.crop(&image);
        assert_eq!(crop.dimensions(), (8, 5));
        assert_eq!(crop.get_pixel(0, 0).0, [2, 3, 0]);
        assert_eq!(crop.get_pixel(7, 4).0, [9, 7, 0]);
        assert!(part.is_inside((10, 8)));
        assert!(!part.is_inside((9, 8)) && !part.is_inside((10, 7)));
    }

    #[test]
    fn boxes_that_no_image_can_contain_are_refused() {
        for (edges, reason) in [
            ([-1.0, 0.0, 5.0, 5.0], "outside of every image"),
            ([0.0, 0.0, f64::NAN, 5.0], "outside of every image"),
            ([0.0, 0.0, f64::INFINITY, 5.0], "outside of every image"),
            ([0.0, 0.0, 1e300, 5.0], "outside of every image"),
            ([5.0, 0.0, 5.0, 5.0], "empty"),
            ([0.0, 6.0, 5.0, 5.0], "empty"),
            ([0.0, 0.0, 50.0, 1.0], "at least 50 times"),
            ([0.0, 0.0, 3.0, 150.0], "at least 50 times"),
        ] {
            let error = BoundingBox::new(edges).unwrap_err();
            assert!(error.contains(reason), "{edges:?}: {error}");
        }
        BoundingBox::new([0.0, 0.0, 49.0, 1.0]).unwrap();
    }
}
