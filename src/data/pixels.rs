//! The pixels of a batch as bytes: packed on the host, normalised on the device.
//!
//! WGSL has no buffers of bytes, so four bytes are packed into each 32 bit integer, the integer type of every GPU
//! backend. The device unpacks them with shifts and masks, and looks up the value of each byte in the table that the
//! host uses too. So the values are those of [`Transform::normalize`], bit for bit.
//!
//! Bytes stay in the order of a decoded image, `[S, S, 3]`, which is the layout of the network too: the permutations to
//! `[3, S, S]` and back move no values.

use burn::tensor::{ElementConversion, Int, Tensor, TensorData, backend::Backend};

use super::transform::Transform;

/// Values of a byte.
const LEVELS: usize = 256;

/// Packs four bytes into each integer, the first into its lowest bits. The bytes of `parts` follow one another. The
/// last integer is filled with zeros.
pub(super) fn pack<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<i32> {
    let bytes: usize = parts.clone().map(<[u8]>::len).sum();
    let mut packed = Vec::with_capacity(bytes.div_ceil(4));
    // The last bytes, fewer than four, of the parts so far.
    let (mut word, mut filled) = ([0; 4], 0);
    for part in parts {
        let (first, part) = part.split_at(part.len().min((4 - filled) % 4));
        word[filled..filled + first.len()].copy_from_slice(first);
        filled += first.len();
        if filled == 4 {
            packed.push(i32::from_le_bytes(word));
            filled = 0;
        }
        let (words, rest) = part.as_chunks::<4>();
        packed.extend(words.iter().map(|word| i32::from_le_bytes(*word)));
        if !rest.is_empty() {
            word[..rest.len()].copy_from_slice(rest);
            filled = rest.len();
        }
    }
    if filled > 0 {
        word[filled..].fill(0);
        packed.push(i32::from_le_bytes(word));
    }
    packed
}

/// Unpacks and normalises the images of a batch on the device.
pub(super) struct PixelTable<B: Backend> {
    /// The normalised value of byte b of channel c at 256 c + b, \[768\].
    levels: Tensor<B, 1>,
    /// The position of each byte in an integer in bits, \[1, 4\].
    shifts: Tensor<B, 2, Int>,
    /// The start of each channel in the table, \[1, 3\].
    offsets: Tensor<B, 2, Int>,
}

impl<B: Backend> PixelTable<B> {
    /// Uploads the table of `transform`.
    pub(super) fn new(transform: &Transform, device: &B::Device) -> Self {
        let levels = transform.normalized_levels().concat();
        let [red, green, blue] = [0, 1, 2].map(|channel| (channel * LEVELS) as i32);
        Self {
            levels: Tensor::from_data(TensorData::new(levels, [3 * LEVELS]), device),
            shifts: Tensor::from_data([[0i32, 8, 16, 24]], device),
            offsets: Tensor::from_data([[red, green, blue]], device),
        }
    }

    /// Returns the normalised images, `[N, 3, S, S]`.
    ///
    /// # Shapes
    /// - packed: \[⌈3 N S² / 4⌉\], from [`pack`]
    pub(super) fn normalize(
        &self,
        packed: Tensor<B, 1, Int>,
        images: usize,
        side: usize,
    ) -> Tensor<B, 4> {
        let count = 3 * images * side * side;
        let [words] = packed.dims();
        let bytes = packed
            .reshape([words, 1])
            .bitwise_right_shift(self.shifts.clone())
            // A shift to the right copies the sign.
            .bitwise_and_scalar(0xff.elem())
            .reshape([4 * words]);
        let bytes = match 4 * words == count {
            true => bytes,
            false => bytes.narrow(0, 0, count),
        };
        let entries = bytes.reshape([count / 3, 3]) + self.offsets.clone();
        let values = self.levels.clone().select(0, entries.reshape([count]));
        values
            .reshape([images, side, side, 3])
            .permute([0, 3, 1, 2])
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::data::config::TransformConfig;

    type B = burn_flex::Flex;

    /// Images in which every byte occurs in every channel.
    fn images(count: u32, side: u32) -> Vec<RgbImage> {
        let level = |x: u32| (x % 256) as u8;
        (0..count)
            .map(|i| {
                RgbImage::from_fn(side, side, |x, y| {
                    let at = x + side * (y + side * i);
                    Rgb([level(at), level(7 * at + 3), level(255 * (at + 1))])
                })
            })
            .collect()
    }

    #[test]
    fn bytes_are_packed_from_the_lowest_bits_on() {
        let packed = |bytes: &[u8]| pack([bytes].into_iter());
        assert_eq!(packed(&[1, 2, 3, 4]), [0x0403_0201]);
        assert_eq!(packed(&[0, 0, 0, 255, 128]), [-0x0100_0000, 128]);
        assert!(packed(&[]).is_empty());
    }

    #[test]
    fn parts_are_packed_as_their_concatenation() {
        let bytes: Vec<u8> = (1..=40).collect();
        for length in [1, 2, 3, 4, 5, 7, 13, 40] {
            let whole = pack([&bytes[..]].into_iter());
            assert_eq!(pack(bytes.chunks(length)), whole, "{length}");
        }
    }

    #[test]
    fn device_computes_the_bits_of_the_host() {
        for (count, side) in [(1, 1), (3, 1), (1, 2), (2, 3), (5, 5), (3, 16), (4, 17)] {
            let transform = Transform::new(&TransformConfig {
                image_size: side as usize,
                resize: side as usize,
                ..Default::default()
            });
            let transform = transform.unwrap();
            let length = transform.values_per_image();
            let images = images(count, side);
            let mut expected = vec![0.0; images.len() * length];
            for (image, expected) in images.iter().zip(expected.chunks_exact_mut(length)) {
                transform.normalize(image, expected);
            }
            let device = Default::default();
            let packed = pack(images.iter().map(|image| &image.as_raw()[..]));
            let words = packed.len();
            let packed = Tensor::from_data(TensorData::new(packed, [words]), &device);
            let pixel_table = PixelTable::<B>::new(&transform, &device);
            let found = pixel_table.normalize(packed, images.len(), side as usize);
            assert_eq!(
                found.dims(),
                [images.len(), 3, side as usize, side as usize]
            );
            let found: Vec<f32> = found.into_data().into_vec().unwrap();
            assert_eq!(found, expected, "{count} images of side {side}");
        }
    }
}
