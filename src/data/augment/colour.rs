//! Colour jitter and grey, as in torchvision and Pillow.
//!
//! The `image` crate's `brighten` and `contrast` are different operations: they add a constant and scale
//! about mid-grey.

use image::{Rgb, RgbImage};
use rand::{Rng, RngExt};

use super::draw::uniform;
use super::hue::rotate_hue;
use crate::data::config::TransformConfig;

/// A change of the colours of a whole image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Adjustment {
    /// Multiplies every value by this factor, at least 0. 1 changes nothing.
    Brightness(f32),
    /// Multiplies the distance of every value from the image's mean grey by this factor, at least 0.
    Contrast(f32),
    /// Multiplies the distance of every value from its pixel's grey by this factor, at least 0.
    Saturation(f32),
    /// Rotates every pixel's hue by this many turns. HSV saturation and value stay the same.
    Hue(f32),
}

/// Brightness, contrast, saturation or hue, without the factor.
type Kind = fn(f32) -> Adjustment;

/// Draws the colour jitter of one image: the adjustments that are on, with uniform factors, in a random
/// order. All orders are equally likely.
///
/// Two random values are drawn for each adjustment that is on, none for one that is off.
pub(super) fn draw_jitter(config: &TransformConfig, rng: &mut impl Rng) -> Vec<Adjustment> {
    let around_one = |strength: f64| [(1.0 - strength).max(0.0), 1.0 + strength];
    let kinds: [(f64, [f64; 2], Kind); 4] = [
        (
            config.brightness,
            around_one(config.brightness),
            Adjustment::Brightness,
        ),
        (
            config.contrast,
            around_one(config.contrast),
            Adjustment::Contrast,
        ),
        (
            config.saturation,
            around_one(config.saturation),
            Adjustment::Saturation,
        ),
        (config.hue, [-config.hue, config.hue], Adjustment::Hue),
    ];
    let mut placed: Vec<(f64, Adjustment)> = kinds
        .into_iter()
        .filter(|&(strength, ..)| strength > 0.0)
        .map(|(_, range, kind)| (rng.random(), kind(uniform(range, rng) as f32)))
        .collect();
    // Sorting by random keys draws a fixed number of values. A shuffle may not.
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    placed
        .into_iter()
        .map(|(_, adjustment)| adjustment)
        .collect()
}

impl Adjustment {
    /// Applies the adjustment to an image.
    pub(super) fn apply(self, image: &mut RgbImage) {
        match self {
            Self::Brightness(factor) => scale_about(image, 0.0, factor),
            Self::Contrast(factor) => scale_about(image, mean_grey(image), factor),
            Self::Saturation(factor) => for_each_pixel(image, |pixel| {
                let grey = f32::from(grey(pixel));
                pixel.map(|value| scaled(value, grey, factor))
            }),
            Self::Hue(turns) => rotate_hue(image, turns),
        }
    }
}

/// Replaces every pixel by its grey.
pub(super) fn to_grey(image: &mut RgbImage) {
    for_each_pixel(image, |pixel| [grey(pixel); 3]);
}

fn for_each_pixel(image: &mut RgbImage, change: impl Fn([u8; 3]) -> [u8; 3]) {
    for Rgb(pixel) in image.pixels_mut() {
        *pixel = change(*pixel);
    }
}

/// Returns the luma by ITU-R 601: 0.299 red, 0.587 green and 0.114 blue, in Pillow's 16 bit fractions.
/// Their sum is 2¹⁶, so a grey pixel stays unchanged.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    const HALF: u32 = 1 << 15;
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + HALF) >> 16) as u8
}

/// Returns the mean of the greys, rounded to a byte as Pillow does; 0 for an image without pixels.
fn mean_grey(image: &RgbImage) -> f32 {
    let sum: u64 = image
        .pixels()
        .map(|&Rgb(pixel)| u64::from(grey(pixel)))
        .sum();
    let count = u64::from(image.width()) * u64::from(image.height());
    ((sum as f64 / count.max(1) as f64) + 0.5).floor() as f32
}

/// Scales the distance of every value from `centre`.
fn scale_about(image: &mut RgbImage, centre: f32, factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|value| scaled(value as u8, centre, factor));
    for value in image.iter_mut() {
        *value = table[usize::from(*value)];
    }
}

/// Scales the distance of `value` from `centre` by `factor`, truncated to a byte as in Pillow.
fn scaled(value: u8, centre: f32, factor: f32) -> u8 {
    (centre + factor * (f32::from(value) - centre)) as u8
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::tests::{assert_close, pattern};
    use super::*;

    fn adjusted(adjustment: Adjustment, image: &RgbImage) -> RgbImage {
        let mut image = image.clone();
        adjustment.apply(&mut image);
        image
    }

    // from torchvision.transforms.v2 import functional as F        # torchvision 0.26, Pillow 13.0
    // y, x = np.mgrid[:9, :13]
    // a = np.stack([x * 53 % 256, y * 71 % 256, x * y * 29 % 256], 2).astype(np.uint8)
    // p, t = Image.fromarray(a), torch.from_numpy(a).permute(2, 0, 1)

    #[test]
    fn brightness_equals_pillows() {
        // np.asarray(F.adjust_brightness(p, factor)).reshape(-1)[::7]
        // factor = 1.4
        let golden = [
            0, 0, 0, 161, 0, 0, 74, 99, 203, 235, 99, 128, 148, 198, 128, 255, 198, 0, 222, 255,
            135, 25, 255, 162, 255, 39, 224, 99, 138, 47, 12, 138, 35, 173, 238, 14, 86, 238, 255,
            0, 255, 61, 161, 255, 255, 74, 78, 190, 235, 78, 255,
        ];
        assert_close(
            &adjusted(Adjustment::Brightness(1.4), &pattern()),
            &golden,
            0,
        );
        // factor = 0.6
        let golden = [
            0, 0, 0, 69, 0, 0, 31, 42, 87, 100, 42, 55, 63, 85, 55, 132, 85, 0, 95, 127, 58, 10,
            127, 69, 127, 16, 96, 42, 59, 20, 5, 59, 15, 74, 102, 6, 37, 102, 122, 0, 144, 26, 69,
            144, 111, 31, 33, 81, 100, 33, 134,
        ];
        assert_close(
            &adjusted(Adjustment::Brightness(0.6), &pattern()),
            &golden,
            0,
        );
    }

    #[test]
    fn contrast_equals_pillows() {
        // np.asarray(F.adjust_contrast(p, factor)).reshape(-1)[::7]
        // factor = 1.5
        let golden = [
            0, 0, 0, 118, 0, 0, 25, 52, 163, 198, 52, 84, 105, 159, 84, 255, 159, 0, 184, 255, 91,
            0, 255, 120, 255, 0, 186, 52, 94, 0, 0, 94, 0, 132, 201, 0, 39, 201, 252, 0, 255, 12,
            118, 255, 223, 25, 30, 150, 198, 30, 255,
        ];
        assert_close(&adjusted(Adjustment::Contrast(1.5), &pattern()), &golden, 0);
        // factor = 0.5
        let golden = [
            54, 54, 54, 111, 54, 54, 80, 89, 126, 138, 89, 100, 107, 125, 100, 164, 125, 54, 133,
            160, 102, 63, 160, 112, 160, 68, 134, 89, 103, 71, 58, 103, 66, 116, 139, 59, 85, 139,
            156, 54, 174, 76, 111, 174, 146, 80, 82, 122, 138, 82, 166,
        ];
        assert_close(&adjusted(Adjustment::Contrast(0.5), &pattern()), &golden, 0);
    }

    #[test]
    fn saturation_equals_pillows() {
        // np.asarray(F.adjust_saturation(p, factor)).reshape(-1)[::7]
        // factor = 1.6
        let golden = [
            0, 0, 0, 163, 0, 0, 48, 54, 195, 198, 83, 93, 92, 123, 80, 255, 155, 0, 150, 252, 53,
            0, 242, 158, 255, 11, 205, 74, 123, 0, 0, 85, 0, 127, 191, 0, 26, 174, 249, 0, 255, 0,
            68, 255, 185, 39, 29, 187, 214, 65, 255,
        ];
        assert_close(
            &adjusted(Adjustment::Saturation(1.6), &pattern()),
            &golden,
            0,
        );
        // factor = 0.3
        let golden = [
            0, 22, 44, 58, 46, 14, 58, 90, 86, 133, 57, 89, 121, 163, 106, 172, 125, 87, 168, 167,
            148, 104, 178, 67, 136, 47, 107, 67, 70, 76, 62, 114, 96, 119, 145, 106, 103, 165, 150,
            98, 205, 160, 168, 220, 184, 68, 87, 76, 113, 44, 133,
        ];
        assert_close(
            &adjusted(Adjustment::Saturation(0.3), &pattern()),
            &golden,
            0,
        );
    }

    #[test]
    fn grey_equals_pillows() {
        // np.asarray(F.to_grayscale(p, 3)).reshape(-1)[::7]
        let golden = [
            0, 32, 63, 34, 66, 21, 61, 99, 61, 118, 51, 89, 128, 173, 112, 151, 119, 125, 173, 148,
            170, 142, 164, 46, 104, 56, 85, 66, 58, 94, 85, 121, 127, 118, 135, 148, 121, 163, 128,
            141, 190, 210, 192, 212, 184, 75, 101, 51, 90, 40, 95,
        ];
        let mut image = pattern();
        to_grey(&mut image);
        assert_close(&image, &golden, 0);
    }

    #[test]
    fn zero_brightness_is_black_and_zero_saturation_is_grey() {
        let black = adjusted(Adjustment::Brightness(0.0), &pattern());
        assert!(black.iter().all(|&value| value == 0));
        let mut grey = pattern();
        to_grey(&mut grey);
        assert_eq!(adjusted(Adjustment::Saturation(0.0), &pattern()), grey);
    }

    #[test]
    fn an_image_without_pixels_is_accepted() {
        for kind in [
            Adjustment::Contrast,
            Adjustment::Saturation,
            Adjustment::Hue,
        ] {
            assert!(adjusted(kind(0.4), &RgbImage::new(0, 5)).is_empty());
        }
    }

    #[test]
    fn every_order_of_the_adjustments_is_equally_likely() {
        let config = TransformConfig {
            brightness: 0.4,
            contrast: 0.3,
            saturation: 0.2,
            hue: 0.1,
            ..TransformConfig::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = HashMap::new();
        let draws = 4800;
        for _ in 0..draws {
            let order: Vec<_> = draw_jitter(&config, &mut rng)
                .iter()
                .map(std::mem::discriminant)
                .collect();
            *counts.entry(order).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // 200 each; five standard deviations of a count of 4800 with probability 1/24 are 69.
        assert!(counts.values().all(|count| count.abs_diff(200) < 69));
    }

    #[test]
    fn factors_are_uniform_in_their_ranges() {
        let config = TransformConfig {
            brightness: 1.5,
            contrast: 0.3,
            hue: 0.1,
            ..TransformConfig::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let draws = 2000;
        let mut sums = [0.0; 3];
        for _ in 0..draws {
            for adjustment in draw_jitter(&config, &mut rng) {
                // Mapped to 0 … 1.
                let (sum, share) = match adjustment {
                    Adjustment::Brightness(factor) => (&mut sums[0], factor / 2.5),
                    Adjustment::Contrast(factor) => (&mut sums[1], (factor - 0.7) / 0.6),
                    Adjustment::Hue(turns) => (&mut sums[2], (turns + 0.1) / 0.2),
                    Adjustment::Saturation(_) => panic!("saturation is off"),
                };
                assert!((-1e-6..=1.0 + 1e-6).contains(&share), "{adjustment:?}");
                *sum += f64::from(share);
            }
        }
        // Five standard errors of a uniform mean: 5 / √12 / √2000 = 0.033.
        for sum in sums {
            assert!((sum / f64::from(draws) - 0.5).abs() < 0.033, "{sums:?}");
        }
    }

    proptest! {
        #[test]
        fn factors_of_one_change_nothing(pixels: [[u8; 3]; 4]) {
            let image = RgbImage::from_fn(2, 2, |x, y| Rgb(pixels[(x + 2 * y) as usize]));
            for adjustment in [
                Adjustment::Brightness(1.0),
                Adjustment::Contrast(1.0),
                Adjustment::Saturation(1.0),
            ] {
                prop_assert_eq!(&adjusted(adjustment, &image), &image, "{:?}", adjustment);
            }
        }

        #[test]
        fn saturation_does_not_change_grey_pixels(byte: u8, factor in 0.0_f32..2.0) {
            let image = RgbImage::from_pixel(2, 1, Rgb([byte; 3]));
            prop_assert_eq!(adjusted(Adjustment::Saturation(factor), &image), image);
        }
    }
}
