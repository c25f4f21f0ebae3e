//! The pixels of a batch as bytes: packed on the host, normalised on the device.
//!
//! WGSL has no buffers of bytes, so four bytes are packed into each 32 bit integer, the integer type of every GPU
//! backend. The device unpacks them with shifts and masks, and looks up the value of each byte in the table that the
//! host uses too. So the values are those of [`Transform::normalize`], bit for bit.

use burn::tensor::{ElementConversion, Int, Tensor, TensorData, backend::Backend};
use image::RgbImage;

use super::transform::Transform;

/// Values of a byte.
const LEVELS: usize = 256;

/// Writes an image to `planes`, `[3, S, S]`.
pub(super) fn write_planes(image: &RgbImage, planes: &mut [u8]) {
    let plane = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let channels = red.iter_mut().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in image.as_raw().chunks_exact(3).zip(channels) {
        [*red, *green, *blue] = [pixel[0], pixel[1], pixel[2]];
    }
}

/// Packs four bytes into each integer, the first into its lowest bits. The last integer is filled with zeros.
pub(super) fn pack(bytes: &[u8]) -> Vec<i32> {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut packed = Vec::with_capacity(bytes.len().div_ceil(4));
    packed.extend(words.iter().map(|word| i32::from_le_bytes(*word)));
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        packed.push(i32::from_le_bytes(last));
    }
    packed
}

/// Unpacks and normalises the images of a batch on the device.
pub(super) struct DeviceNormalizer<B: Backend> {
    /// The normalised value of byte b of channel c at 256 c + b, \[768\].
    table: Tensor<B, 1>,
    /// The position of each byte in an integer in bits, \[1, 4\].
    shifts: Tensor<B, 2, Int>,
    /// The start of each channel in the table, \[1, 3, 1\].
    offsets: Tensor<B, 3, Int>,
}

impl<B: Backend> DeviceNormalizer<B> {
    /// Uploads the table of `transform`.
    pub(super) fn new(transform: &Transform, device: &B::Device) -> Self {
        let table = transform.normalized_levels().concat();
        let starts = [0, 1, 2].map(|channel| (channel * LEVELS) as i32);
        Self {
            table: Tensor::from_data(TensorData::new(table, [3 * LEVELS]), device),
            shifts: Tensor::from_data([[0i32, 8, 16, 24]], device),
            offsets: Tensor::from_data(TensorData::new(starts.to_vec(), [1, 3, 1]), device),
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
            false => bytes.slice([0..count]),
        };
        let entries = bytes.reshape([images, 3, side * side]) + self.offsets.clone();
        let values = self.table.clone().select(0, entries.reshape([count]));
        values.reshape([images, 3, side, side])
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

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
        assert_eq!(pack(&[1, 2, 3, 4]), [0x0403_0201]);
        assert_eq!(pack(&[0, 0, 0, 255, 128]), [-0x0100_0000, 128]);
        assert!(pack(&[]).is_empty());
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
            let mut bytes = vec![0; images.len() * length];
            let mut expected = vec![0.0; bytes.len()];
            for (i, image) in images.iter().enumerate() {
                let range = i * length..(i + 1) * length;
                write_planes(image, &mut bytes[range.clone()]);
                transform.normalize(image, &mut expected[range]);
            }
            let device = Default::default();
            let packed = pack(&bytes);
            let words = packed.len();
            let packed = Tensor::from_data(TensorData::new(packed, [words]), &device);
            let normalizer = DeviceNormalizer::<B>::new(&transform, &device);
            let found = normalizer.normalize(packed, images.len(), side as usize);
            assert_eq!(
                found.dims(),
                [images.len(), 3, side as usize, side as usize]
            );
            let found: Vec<f32> = found.into_data().into_vec().unwrap();
            assert_eq!(found, expected, "{count} images of side {side}");
        }
    }
}
