//! Random erasing (Zhong et al., "Random Erasing Data Augmentation", 2020), with the distribution of
//! torchvision's `RandomErasing`.

use image::{Rgb, RgbImage};
use rand::Rng;

use super::crop::random_rectangle;
use crate::data::config::TransformConfig;
use crate::data::resize::Rectangle;

/// Range of the rectangle's width divided by its height: torchvision's 0.3 to 3.3, which is height
/// divided by width.
const RATIO: [f64; 2] = [1.0 / 3.3, 1.0 / 0.3];

/// A rectangle that is filled with one colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Erasure {
    part: Rectangle,
    colour: Rgb<u8>,
}

impl Erasure {
    /// Draws a rectangle of the S×S image whose share of the area is uniform in `data.erase_scale`. Its
    /// colour becomes 0 when normalised, up to rounding to bytes. `None` if ten rectangles are all as
    /// wide or as high as the image.
    ///
    /// The number of random values drawn is always the same.
    pub(super) fn draw(config: &TransformConfig, rng: &mut impl Rng) -> Option<Self> {
        let side = config.image_size as u32;
        let largest = side.saturating_sub(1);
        let part = random_rectangle(
            (side, side),
            (largest, largest),
            config.erase_scale,
            RATIO,
            rng,
        )?;
        let byte = |mean: f32| (mean * f32::from(u8::MAX)).round() as u8;
        Some(Self {
            part,
            colour: Rgb(config.mean.map(byte)),
        })
    }

    /// Fills the rectangle, which must be inside the image.
    pub(super) fn apply(&self, image: &mut RgbImage) {
        let Rectangle {
            x,
            y,
            width,
            height,
        } = self.part;
        for row in y..y + height {
            for column in x..x + width {
                image.put_pixel(column, row, self.colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn only_the_rectangle_is_filled() {
        let erasure = Erasure {
            part: Rectangle {
                x: 1,
                y: 2,
                width: 3,
                height: 1,
            },
            colour: Rgb([7, 8, 9]),
        };
        let mut image = RgbImage::new(5, 4);
        erasure.apply(&mut image);
        for (x, y, pixel) in image.enumerate_pixels() {
            let inside = (1..4).contains(&x) && y == 2;
            let expected = if inside { [7, 8, 9] } else { [0; 3] };
            assert_eq!(pixel.0, expected, "at {x}, {y}");
        }
    }

    #[test]
    fn the_colour_is_the_mean_in_bytes() {
        let config = TransformConfig::default();
        let erasure = Erasure::draw(&config, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        // 0.485, 0.456 and 0.406 of 255 are 123.7, 116.3 and 103.5.
        assert_eq!(erasure.colour, Rgb([124, 116, 104]));
        let beyond = TransformConfig {
            mean: [-0.1, 1.5, 0.0],
            ..config
        };
        let erasure = Erasure::draw(&beyond, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!(erasure.colour, Rgb([0, 255, 0]));
    }

    #[test]
    fn an_image_of_one_pixel_and_a_share_of_one_are_not_erased() {
        for (image_size, erase_scale) in [(1, [0.02, 0.33]), (32, [1.0, 1.0])] {
            let config = TransformConfig {
                image_size,
                erase_scale,
                ..TransformConfig::default()
            };
            let erasure = Erasure::draw(&config, &mut ChaCha8Rng::seed_from_u64(1));
            assert_eq!(erasure, None);
        }
    }

    proptest! {
        #[test]
        fn the_rectangle_is_inside_and_has_its_share_of_the_area(
            image_size in 16_usize..300,
            least in 0.02..0.3_f64,
            spread in 0.0..0.2_f64,
            seed: u64,
        ) {
            let config = TransformConfig {
                image_size,
                erase_scale: [least, least + spread],
                ..TransformConfig::default()
            };
            let erasure = Erasure::draw(&config, &mut ChaCha8Rng::seed_from_u64(seed));
            let Rectangle { x, y, width, height } = erasure.expect("some of ten fit").part;
            let side = image_size as u32;
            prop_assert!(width < side && height < side);
            prop_assert!(x + width <= side && y + height <= side);

            // Both sides are rounded to whole pixels.
            let [w, h] = [width, height].map(f64::from);
            let slack = 0.5 * (w + h) + 0.25;
            let whole = f64::from(side * side);
            prop_assert!(w * h >= least * whole - slack, "{width}×{height} of {side}");
            prop_assert!(w * h <= (least + spread) * whole + slack, "{width}×{height} of {side}");
            prop_assert!((w + 0.5) / (h - 0.5) >= RATIO[0] && (w - 0.5) / (h + 0.5) <= RATIO[1]);
        }
    }
}
