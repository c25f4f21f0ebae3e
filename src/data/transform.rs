//! How an image becomes the network's input: the published training and test transforms, and the
//! augmentations that users of the field add to them.

use std::convert::Infallible;

use image::{RgbImage, imageops};
use rand::{Rng, RngExt};

use super::augment::{Augmentation, random_resized_crop};
use super::resize::{Pixels, Rectangle, ResizeSpec};
use crate::data::config::{EvalResize, TransformConfig};
use crate::setting::SettingError;

/// Brings images to S×S pixels, S = `image_size`, and pixels to the network's numbers.
#[derive(Debug, Clone)]
pub struct Transform {
    config: TransformConfig,
    /// The normalised value of each byte, by channel.
    table: [[f32; 256]; 3],
}

impl Transform {
    /// The transform with the configured sizes, probabilities and statistics.
    ///
    /// # Errors
    /// A key out of its range.
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

    /// S, the side of the network's input in pixels.
    pub fn image_size(&self) -> usize {
        self.config.image_size
    }

    /// 3·S·S, the length of one normalised image.
    pub fn values_per_image(&self) -> usize {
        3 * self.config.image_size * self.config.image_size
    }

    /// A training image, S×S, drawn anew with each call: resized straight, aspect not kept, or (with
    /// `crop_probability`) cropped at random, from the `resize` square or as a random resized crop;
    /// then mirrored with `flip_probability`, then the colours and what is blurred or erased.
    ///
    /// Under the published transform the number of values drawn is the same for each image.
    pub fn train(&self, image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
        let Ok(image) = self.train_from(rng, |resize| Ok::<_, Infallible>(resize.apply(image)));
        image
    }

    /// A test image, S×S: resized straight, aspect not kept, or its middle.
    pub fn test(&self, image: &RgbImage) -> RgbImage {
        let Ok(image) = self.test_from(|resize| Ok::<_, Infallible>(resize.apply(image)));
        image
    }

    /// The resizes that training images are made from; the same image may need one or the other.
    pub(super) fn train_resizes(&self) -> Vec<ResizeSpec> {
        let share = self.config.crop_probability;
        let mut resizes = Vec::new();
        if share < 1.0 {
            resizes.push(self.straight());
        }
        if share > 0.0 && !resizes.contains(&self.larger()) {
            resizes.push(self.larger());
        }
        resizes
    }

    /// The resize that test images are made from.
    pub(super) fn eval_resize(&self) -> ResizeSpec {
        match self.config.eval_resize {
            EvalResize::Direct => self.straight(),
            EvalResize::CenterCrop => ResizeSpec::ShorterSide(self.config.resize as u32),
        }
    }

    /// The shorter side, in pixels, that originals have to be decoded with to make `resizes`; none
    /// where they are decoded whole.
    pub(super) fn min_side(&self, resizes: &[ResizeSpec]) -> Option<u32> {
        let largest = resizes.iter().map(|resize| resize.min_side()).max();
        largest.filter(|_| self.config.jpeg_dct_scaling)
    }

    fn straight(&self) -> ResizeSpec {
        ResizeSpec::Square(self.config.image_size as u32)
    }

    /// What crops are cut from.
    fn larger(&self) -> ResizeSpec {
        let side = self.config.resize as u32;
        match self.config.crop_scale {
            None => ResizeSpec::Square(side),
            Some(_) => ResizeSpec::ShorterSide(side),
        }
    }

    /// A training image from the resize of it that `resized` gives.
    pub(super) fn train_from<'a, E>(
        &self,
        rng: &mut impl Rng,
        resized: impl FnOnce(ResizeSpec) -> Result<Pixels<'a>, E>,
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
            _ if !crop => resized(self.straight())?.into_image(),
            None => resized(self.larger())?.crop(Rectangle {
                x,
                y,
                width: side,
                height: side,
            }),
            Some(scale) => {
                let resize = resized(self.larger())?;
                let part = random_resized_crop(resize.size(), scale, crop_ratio, rng);
                resize.crop_resized(part, side)
            }
        };
        if flip {
            imageops::flip_horizontal_in_place(&mut image);
        }
        augmentation.apply(&mut image);
        Ok(image)
    }

    /// A test image from the resize of it that `resized` gives.
    pub(super) fn test_from<'a, E>(
        &self,
        resized: impl FnOnce(ResizeSpec) -> Result<Pixels<'a>, E>,
    ) -> Result<RgbImage, E> {
        let resize = resized(self.eval_resize())?;
        Ok(match self.config.eval_resize {
            EvalResize::Direct => resize.into_image(),
            EvalResize::CenterCrop => {
                let side = self.config.image_size as u32;
                let (width, height) = resize.size();
                resize.crop(Rectangle {
                    x: (width - side) / 2,
                    y: (height - side) / 2,
                    width: side,
                    height: side,
                })
            }
        })
    }

    /// Writes a transformed image as (x / 255 − mean) / std, in the order `[3, S, S]`.
    ///
    /// # Panics
    /// When `values` is not [`values_per_image`](Self::values_per_image) long or the image not S×S.
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

    fn train_view(transform: &Transform, image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
        let resizes = transform.train_resizes();
        let resized = |resize: ResizeSpec| {
            assert!(resizes.contains(&resize), "a cache would not have it");
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
    fn shrinking_agrees_with_pil_to_one_level() {
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
    fn enlarging_agrees_with_pil_to_one_level() {
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
    fn normalised_values_are_planes_of_channels() {
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
    fn training_without_crop_and_flip_is_the_test_transform() {
        let transform = transform(7, 9, 0.0, 0.0);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(
            train_view(&transform, &pattern(), &mut rng),
            transform.test(&pattern())
        );
    }

    #[test]
    fn every_training_image_is_one_of_the_published_kinds_in_its_share() {
        let both = transform(8, 10, 0.5, 0.5);
        let straight = both.test(&pattern());
        let larger = transform(10, 10, 0.0, 0.0).test(&pattern());
        let mut kinds = vec![straight];
        for (x, y) in (0..9).map(|i| (i % 3, i / 3)) {
            kinds.push(imageops::crop_imm(&larger, x, y, 8, 8).to_image());
        }
        let mirrored: Vec<_> = kinds.iter().map(imageops::flip_horizontal).collect();

        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut crops, mut flips, mut seen) = (0, 0, HashSet::new());
        let draws = 2000;
        for _ in 0..draws {
            let image = train_view(&both, &pattern(), &mut rng);
            let plain = kinds.iter().position(|kind| *kind == image);
            let kind = plain.or_else(|| mirrored.iter().position(|kind| *kind == image));
            let kind = kind.expect("neither resized nor cropped from the larger square");
            crops += usize::from(kind > 0);
            flips += usize::from(plain.is_none());
            seen.insert((kind, plain.is_none()));
        }
        // Five standard deviations of a fair coin: 5 · ½ · √2000 = 112.
        assert!(crops.abs_diff(draws / 2) < 112, "{crops} crops");
        assert!(flips.abs_diff(draws / 2) < 112, "{flips} flips");
        assert_eq!(seen.len(), 20, "every offset occurs, plain and mirrored");
    }

    #[test]
    fn keys_out_of_range_are_named() {
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
