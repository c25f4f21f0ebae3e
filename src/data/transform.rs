//! The transforms from an image to the network's input: the published training and test transforms, and
//! optional augmentations.

use std::convert::Infallible;

use image::{RgbImage, imageops};
use rand::{Rng, RngExt};

use super::augment::{Augmentation, random_resized_crop};
use super::resize::{Pixels, Rectangle, ResizeSpec};
use crate::data::config::{EvalResize, TransformConfig};
use crate::setting::SettingError;

/// Transforms images to S×S pixels, S = `image_size`, and normalises them.
#[derive(Debug, Clone)]
pub struct Transform {
    config: TransformConfig,
    /// Normalised value of each byte, by channel.
    table: [[f32; 256]; 3],
}

impl Transform {
    /// Makes the configured transform.
    ///
    /// # Errors
    /// If a key is out of its range.
    pub fn new(config: &TransformConfig) -> Result<Self, SettingError> {
        config.check()?;
        let table = std::array::from_fn(|c| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - config.mean[c]) / config.std[c])
        });
        Ok(Self {
            config: config.clone(),
            table,
        })
    }

    /// Returns S, the side of the network's input in pixels.
    pub fn image_size(&self) -> usize {
        self.config.image_size
    }

    /// Returns 3·S·S, the length of one normalised image.
    pub fn values_per_image(&self) -> usize {
        3 * self.config.image_size * self.config.image_size
    }

    /// Returns a random S×S training version of an image.
    ///
    /// The image is resized directly (the aspect ratio is not kept) or, with `crop_probability`, cropped
    /// at random: from the `resize` square, or as a random resized crop. Then it is flipped with
    /// `flip_probability`, then colour jitter, grey, blur and erasing follow.
    ///
    /// With the published transform, the number of random values drawn is the same for each image.
    pub fn train(&self, image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
        let Ok(image) = self.train_from(rng, |resize| Ok::<_, Infallible>(resize.apply(image)));
        image
    }

    /// Returns the S×S test version of an image: resized directly (the aspect ratio is not kept), or
    /// cropped to the middle.
    pub fn test(&self, image: &RgbImage) -> RgbImage {
        let Ok(image) = self.test_from(|resize| Ok::<_, Infallible>(resize.apply(image)));
        image
    }

    /// Returns the resizes that training needs. Each use of an image needs one of them.
    pub(super) fn train_resizes(&self) -> Vec<ResizeSpec> {
        let probability = self.config.crop_probability;
        let mut resizes = Vec::new();
        if probability < 1.0 {
            resizes.push(self.direct());
        }
        if probability > 0.0 && !resizes.contains(&self.before_crop()) {
            resizes.push(self.before_crop());
        }
        resizes
    }

    /// Returns the resize that test images need.
    pub(super) fn eval_resize(&self) -> ResizeSpec {
        match self.config.eval_resize {
            EvalResize::Direct => self.direct(),
            EvalResize::CenterCrop => ResizeSpec::ShorterSide(self.config.resize as u32),
        }
    }

    /// Returns the shorter side, in pixels, that DCT-scaled decoding must keep for `resizes`. `None` if
    /// images are decoded at full size.
    pub(super) fn min_side(&self, resizes: &[ResizeSpec]) -> Option<u32> {
        let largest = resizes.iter().map(|resize| resize.min_side()).max();
        largest.filter(|_| self.config.jpeg_dct_scaling)
    }

    fn direct(&self) -> ResizeSpec {
        ResizeSpec::Square(self.config.image_size as u32)
    }

    /// Returns the resize that crops are cut from.
    fn before_crop(&self) -> ResizeSpec {
        let side = self.config.resize as u32;
        match self.config.crop_scale {
            None => ResizeSpec::Square(side),
            Some(_) => ResizeSpec::ShorterSide(side),
        }
    }

    /// Makes a training image. `resized` returns the image with the given resize.
    pub(super) fn train_from<E>(
        &self,
        rng: &mut impl Rng,
        resized: impl FnOnce(ResizeSpec) -> Result<Pixels, E>,
    ) -> Result<RgbImage, E> {
        let TransformConfig {
            image_size,
            resize,
            crop_probability,
            crop_scale,
            crop_ratio,
            flip_probability,
            ..
        } = self.config;
        let crop = rng.random_bool(crop_probability);
        let [x, y] = [(); 2].map(|()| rng.random_range(0..=(resize - image_size) as u32));
        let flip = rng.random_bool(flip_probability);
        let augmentation = Augmentation::draw(&self.config, rng);

        let side = image_size as u32;
        let mut image = match crop_scale {
            _ if !crop => resized(self.direct())?.into_image(),
            None => resized(self.before_crop())?.crop(Rectangle {
                x,
                y,
                width: side,
                height: side,
            }),
            Some(scale) => {
                let pixels = resized(self.before_crop())?;
                let part = random_resized_crop(pixels.size(), scale, crop_ratio, rng);
                pixels.crop_resized(part, side)
            }
        };
        if flip {
            imageops::flip_horizontal_in_place(&mut image);
        }
        augmentation.apply(&mut image);
        Ok(image)
    }

    /// Makes a test image. `resized` returns the image with the given resize.
    pub(super) fn test_from<E>(
        &self,
        resized: impl FnOnce(ResizeSpec) -> Result<Pixels, E>,
    ) -> Result<RgbImage, E> {
        let pixels = resized(self.eval_resize())?;
        Ok(match self.config.eval_resize {
            EvalResize::Direct => pixels.into_image(),
            EvalResize::CenterCrop => {
                let side = self.config.image_size as u32;
                let (width, height) = pixels.size();
                pixels.crop(Rectangle {
                    x: (width - side) / 2,
                    y: (height - side) / 2,
                    width: side,
                    height: side,
                })
            }
        })
    }

    /// Returns the normalised value (b / 255 − mean) / std of each byte b, by channel.
    pub(super) fn normalized_levels(&self) -> &[[f32; 256]; 3] {
        &self.table
    }

    /// Writes a transformed image to `values` as (x / 255 − mean) / std, with shape `[3, S, S]`.
    ///
    /// # Panics
    /// If the length of `values` is not [`values_per_image`](Self::values_per_image), or the image is not
    /// S×S.
    pub fn normalize(&self, image: &RgbImage, values: &mut [f32]) {
        assert_eq!(values.len(), self.values_per_image());
        assert_eq!(image.as_raw().len(), values.len());
        let plane = values.len() / 3;
        let (red, rest) = values.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for (i, pixel) in image.as_raw().chunks_exact(3).enumerate() {
            red[i] = self.table[0][usize::from(pixel[0])];
            green[i] = self.table[1][usize::from(pixel[1])];
            blue[i] = self.table[2][usize::from(pixel[2])];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use image::Rgb;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn config(image_size: usize, resize: usize, crop: f64, flip: f64) -> TransformConfig {
        TransformConfig {
            image_size,
            resize,
            crop_probability: crop,
            flip_probability: flip,
            ..Default::default()
        }
    }

    fn transform(image_size: usize, resize: usize, crop: f64, flip: f64) -> Transform {
        Transform::new(&config(image_size, resize, crop, flip)).unwrap()
    }

    /// 13×9, with red, green and blue that wrap around at different steps.
    fn pattern() -> RgbImage {
        RgbImage::from_fn(13, 9, |x, y| {
            Rgb([x * 53 % 256, y * 71 % 256, x * y * 29 % 256].map(|c| c as u8))
        })
    }

    fn train_image(transform: &Transform, image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
        let resizes = transform.train_resizes();
        let resized = |resize: ResizeSpec| {
            assert!(
                resizes.contains(&resize),
                "the cache does not contain this resize"
            );
            Ok::<_, ()>(resize.apply(image))
        };
        transform.train_from(rng, resized).unwrap()
    }

    fn assert_within_one_level(ours: impl Iterator<Item = u8>, golden: &[u8]) {
        let ours: Vec<u8> = ours.collect();
        assert_eq!(ours.len(), golden.len());
        for (i, (a, b)) in ours.iter().zip(golden).enumerate() {
            assert!(a.abs_diff(*b) <= 1, "value {i}: {a}, PIL has {b}");
        }
    }

    // y, x = np.mgrid[:9, :13]
    // a = np.stack([x * 53 % 256, y * 71 % 256, x * y * 29 % 256], 2).astype(np.uint8)
    // Image.fromarray(a).resize((s, s), Image.BILINEAR)       # Pillow 13.0
    #[test]
    fn shrinking_agrees_with_pil_within_one_level() {
        // np.asarray(…).reshape(-1), s = 5
        let golden = [
            57, 41, 18, 139, 41, 53, 84, 41, 83, 147, 41, 55, 85, 41, 35, 57, 151, 61, 139, 151,
            125, 84, 151, 118, 147, 151, 105, 85, 151, 106, 57, 88, 93, 139, 88, 130, 84, 88, 125,
            147, 88, 102, 85, 88, 143, 57, 161, 93, 139, 161, 109, 84, 161, 133, 147, 161, 115, 85,
            161, 126, 57, 143, 136, 139, 143, 145, 84, 143, 137, 147, 143, 83, 85, 143, 168,
        ];
        let small = transform(5, 5, 0.0, 0.0).test(&pattern());
        assert_within_one_level(small.iter().copied(), &golden);
    }

    #[test]
    fn enlarging_agrees_with_pil_within_one_level() {
        // np.asarray(…).reshape(-1)[::13], s = 17
        let golden = [
            0, 0, 0, 54, 21, 25, 103, 21, 0, 196, 58, 24, 34, 96, 175, 49, 134, 202, 143, 134, 45,
            116, 171, 123, 75, 209, 145, 90, 126, 137, 184, 126, 164, 21, 28, 203, 115, 66, 111,
            124, 103, 181, 209, 103, 71, 62, 141, 108, 156, 178, 41, 0, 216, 133, 54, 208, 115,
            103, 208, 0, 196, 110, 74, 34, 56, 94, 49,
        ];
        let large = transform(17, 17, 0.0, 0.0).test(&pattern());
        assert_within_one_level(large.iter().step_by(13).copied(), &golden);
    }

    #[test]
    fn normalised_values_are_ordered_by_channel() {
        let transform = transform(2, 2, 0.0, 0.0);
        let image = RgbImage::from_fn(2, 2, |x, y| Rgb([(x + 2 * y) as u8, 100, 255]));
        let mut values = [0.0; 12];
        transform.normalize(&image, &mut values);
        let expected = |byte: f32, mean: f32, std: f32| (byte / 255.0 - mean) / std;
        assert_eq!(values[3], expected(3.0, 0.485, 0.229));
        assert_eq!(values[4..8], [expected(100.0, 0.456, 0.224); 4]);
        assert_eq!(values[8..], [expected(255.0, 0.406, 0.225); 4]);
    }

    #[test]
    fn training_without_crop_and_flip_equals_the_test_transform() {
        let transform = transform(7, 9, 0.0, 0.0);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(
            train_image(&transform, &pattern(), &mut rng),
            transform.test(&pattern())
        );
    }

    #[test]
    fn training_images_are_of_the_published_kinds_in_the_published_shares() {
        let both = transform(8, 10, 0.5, 0.5);
        let direct = both.test(&pattern());
        let larger = transform(10, 10, 0.0, 0.0).test(&pattern());
        let mut kinds = vec![direct];
        for (x, y) in (0..9).map(|i| (i % 3, i / 3)) {
            kinds.push(imageops::crop_imm(&larger, x, y, 8, 8).to_image());
        }
        let mirrored: Vec<_> = kinds.iter().map(imageops::flip_horizontal).collect();

        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut crops, mut flips, mut seen) = (0, 0, HashSet::new());
        let draws = 2000;
        for _ in 0..draws {
            let image = train_image(&both, &pattern(), &mut rng);
            let plain = kinds.iter().position(|kind| *kind == image);
            let kind = plain.or_else(|| mirrored.iter().position(|kind| *kind == image));
            let kind = kind.expect("neither resized directly nor cropped from the resized square");
            crops += usize::from(kind > 0);
            flips += usize::from(plain.is_none());
            seen.insert((kind, plain.is_none()));
        }
        // Five standard deviations of a fair coin: 5 · ½ · √2000 = 112.
        assert!(crops.abs_diff(draws / 2) < 112, "{crops} crops");
        assert!(flips.abs_diff(draws / 2) < 112, "{flips} flips");
        assert_eq!(seen.len(), 20, "every offset occurs, flipped and not");
    }

    #[test]
    fn values_out_of_range_are_refused_with_their_key() {
        let refusal = |config: TransformConfig| Transform::new(&config).unwrap_err().to_string();
        assert!(refusal(config(0, 5, 0.5, 0.5)).contains("data.image_size = 0"));
        assert!(refusal(config(8, 7, 0.5, 0.5)).contains("data.resize = 7"));
        assert!(refusal(config(8, 9, 1.5, 0.5)).contains("data.crop_probability = 1.5"));
        assert!(refusal(config(8, 9, 0.5, f64::NAN)).contains("data.flip_probability = nan"));
        let flat = TransformConfig {
            std: [0.2, 0.0, 0.2],
            ..Default::default()
        };
        assert!(refusal(flat).contains("data.std = 0.0"));
    }
}
