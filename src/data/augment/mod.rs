//! Augmentations that are off in the published recipe: colour jitter, grey, blur, erasing and random
//! resized crops, with the semantics of torchvision's transforms of the same names.
//!
//! All random values are drawn first, as an [`Augmentation`]. Applying it is deterministic.

mod blur;
mod colour;
mod crop;
mod draw;
mod erase;
mod hue;

use image::RgbImage;
use rand::Rng;

pub(crate) use self::crop::random_resized_crop;

use self::blur::blur;
use self::colour::{Adjustment, draw_jitter, to_grey};
use self::draw::{bernoulli, uniform};
use self::erase::Erasure;
use crate::data::config::TransformConfig;

/// The augmentation of one training image of S×S pixels, S = `data.image_size`. The default changes
/// nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Augmentation {
    /// Adjustments in the order in which they are applied.
    jitter: Vec<Adjustment>,
    grey: bool,
    /// Standard deviation of the blur, in pixels.
    blur: Option<f32>,
    erasure: Option<Erasure>,
}

impl Augmentation {
    /// Draws the augmentation of one image.
    ///
    /// The number of random values drawn depends only on the configuration: 0 for an augmentation that
    /// is off, a fixed number for one that is on, whether or not it then applies to the image.
    pub(crate) fn draw(config: &TransformConfig, rng: &mut impl Rng) -> Self {
        let jitter = draw_jitter(config, rng);
        let grey = bernoulli(config.grey_probability, rng);
        let mut augmentation = Self {
            jitter,
            grey,
            ..Self::default()
        };
        if config.blur_probability > 0.0 {
            let blurred = bernoulli(config.blur_probability, rng);
            let sigma = uniform(config.blur_sigma, rng) as f32;
            augmentation.blur = blurred.then_some(sigma);
        }
        if config.erase_probability > 0.0 {
            let erased = bernoulli(config.erase_probability, rng);
            let erasure = Erasure::draw(config, rng);
            augmentation.erasure = erasure.filter(|_| erased);
        }
        augmentation
    }

    /// Applies colour jitter, grey, blur and erasing, in this order.
    ///
    /// # Panics
    /// If the erased rectangle is not inside the image, because the image is not S×S.
    pub(crate) fn apply(&self, image: &mut RgbImage) {
        for adjustment in &self.jitter {
            adjustment.apply(image);
        }
        if self.grey {
            to_grey(image);
        }
        if let Some(sigma) = self.blur {
            blur(image, sigma);
        }
        if let Some(erasure) = &self.erasure {
            erasure.apply(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// 13×9, with red, green and blue that wrap around at different steps.
    pub(super) fn pattern() -> RgbImage {
        RgbImage::from_fn(13, 9, |x, y| {
            Rgb([x * 53 % 256, y * 71 % 256, x * y * 29 % 256].map(|c| c as u8))
        })
    }

    /// Compares every seventh value, so that all channels occur.
    pub(super) fn assert_close(image: &RgbImage, golden: &[u8], levels: u8) {
        let ours: Vec<u8> = image.iter().copied().step_by(7).collect();
        assert_eq!(ours.len(), golden.len());
        for (i, (a, b)) in ours.iter().zip(golden).enumerate() {
            assert!(a.abs_diff(*b) <= levels, "value {}: {a}, not {b}", 7 * i);
        }
    }

    /// All augmentations on, for images of 32×32 pixels.
    fn everything() -> TransformConfig {
        TransformConfig {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
            grey_probability: 0.2,
            blur_probability: 0.5,
            erase_probability: 0.3,
            ..TransformConfig::default()
        }
    }

    #[test]
    fn the_default_draws_nothing_and_changes_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let augmentation = Augmentation::draw(&TransformConfig::default(), &mut rng);
        assert_eq!(augmentation, Augmentation::default());
        assert_eq!(rng.get_word_pos(), 0);
        let mut image = pattern();
        augmentation.apply(&mut image);
        assert_eq!(image, pattern());
    }

    // from torchvision.transforms.v2 import functional as F                  # torchvision 0.26
    // y, x = np.mgrid[:9, :13]
    // a = np.stack([x * 53 % 256, y * 71 % 256, x * y * 29 % 256], 2).astype(np.uint8)
    // t = torch.from_numpy(a).permute(2, 0, 1)
    // t = F.adjust_contrast(F.adjust_brightness(t, 1.2), 0.8)
    // t = F.adjust_hue(F.adjust_saturation(t, 1.3), -0.05)
    // t.permute(1, 2, 0).reshape(-1)[::7]
    #[test]
    fn all_four_adjustments_agree_with_torchvision_within_two_levels() {
        // One level for rounding greys as Pillow does, and one for rounding hues.
        let golden = [
            25, 15, 81, 158, 6, 45, 88, 85, 188, 148, 98, 133, 120, 152, 77, 247, 167, 0, 240, 247,
            96, 6, 243, 156, 188, 58, 210, 41, 130, 39, 11, 135, 20, 113, 202, 0, 123, 171, 213,
            76, 240, 22, 121, 168, 154, 69, 65, 179, 208, 82, 255,
        ];
        let augmentation = Augmentation {
            jitter: vec![
                Adjustment::Brightness(1.2),
                Adjustment::Contrast(0.8),
                Adjustment::Saturation(1.3),
                Adjustment::Hue(-0.05),
            ],
            ..Augmentation::default()
        };
        let mut image = pattern();
        augmentation.apply(&mut image);
        assert_close(&image, &golden, 2);
    }

    #[test]
    fn grey_is_applied_before_erasing_with_the_mean_colour() {
        let config = TransformConfig {
            image_size: 9,
            hue: 0.5,
            grey_probability: 1.0,
            blur_probability: 1.0,
            erase_probability: 1.0,
            erase_scale: [0.2, 0.2],
            ..TransformConfig::default()
        };
        let augmentation = Augmentation::draw(&config, &mut ChaCha8Rng::seed_from_u64(5));
        let mut image = pattern();
        augmentation.apply(&mut image);
        let erased = |pixel: &&Rgb<u8>| **pixel == Rgb([124, 116, 104]);
        let coloured = |pixel: &&Rgb<u8>| pixel[0] != pixel[1] || pixel[1] != pixel[2];
        // 16.2 pixels of 81, in a rectangle with whole sides.
        let count = image.pixels().filter(erased).count();
        assert!((10..=24).contains(&count), "{count} pixels erased");
        assert_eq!(image.pixels().filter(coloured).count(), count);
    }

    #[test]
    fn each_augmentation_applies_to_its_share_of_images() {
        let config = everything();
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let draws = 4000;
        let (mut grey, mut blurred, mut erased) = (0, 0, 0);
        for _ in 0..draws {
            let augmentation = Augmentation::draw(&config, &mut rng);
            assert_eq!(augmentation.jitter.len(), 4);
            grey += usize::from(augmentation.grey);
            blurred += usize::from(augmentation.blur.is_some());
            erased += usize::from(augmentation.erasure.is_some());
            let [least, most] = config.blur_sigma.map(|sigma| sigma as f32);
            assert!(
                augmentation
                    .blur
                    .is_none_or(|sigma| (least..=most).contains(&sigma))
            );
        }
        for (count, share) in [(grey, 0.2), (blurred, 0.5), (erased, 0.3)] {
            let five_sigma = 5.0 * (f64::from(draws) * share * (1.0 - share)).sqrt();
            let off = count as f64 - f64::from(draws) * share;
            assert!(off.abs() < five_sigma, "{count} of {draws} for {share}");
        }
    }

    proptest! {
        #[test]
        fn the_same_number_of_values_is_drawn_for_every_image(seed: u64) {
            let drawn = |seed| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                Augmentation::draw(&everything(), &mut rng);
                let first = rng.get_word_pos();
                random_resized_crop((90, 30), [0.5, 1.0], [0.5, 2.0], &mut rng);
                (first, rng.get_word_pos())
            };
            prop_assert_eq!(drawn(seed), drawn(0));
        }

        #[test]
        fn the_same_seed_makes_the_same_image(seed: u64) {
            let augmented = || {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let mut image = image::imageops::thumbnail(&pattern(), 32, 32);
                Augmentation::draw(&everything(), &mut rng).apply(&mut image);
                image
            };
            prop_assert_eq!(augmented(), augmented());
        }
    }
}
