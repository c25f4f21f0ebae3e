//! Gaussian blur with reflected borders, as torchvision's `gaussian_blur`.
//!
//! The `image` crate's blurs repeat the border pixel, which gives it more weight than the others, and
//! end their kernels at 2σ to 2.5σ.

use image::RgbImage;

/// Values of a pixel.
const CHANNELS: usize = 3;
/// Radius of the kernel in standard deviations. 0.3 % of a Gaussian are beyond it, less than one level
/// of 255.
const CUT_OFF: f32 = 3.0;

/// Convolves with a Gaussian of standard deviation `sigma` in pixels, which must be above 0.
pub(super) fn blur(image: &mut RgbImage, sigma: f32) {
    if image.is_empty() {
        return;
    }
    let kernel = kernel(sigma);
    let row = image.width() as usize * CHANNELS;
    let across = blur_rows(image, &kernel);
    let rows: Vec<&[f32]> = across.chunks_exact(row).collect();
    let radius = kernel.len() / 2;
    let mut sums = vec![0.0; row];
    for (y, target) in image.chunks_exact_mut(row).enumerate() {
        sums.fill(0.0);
        for (k, &weight) in kernel.iter().enumerate() {
            add(&mut sums, weight, rows[reflect(y + k, radius, rows.len())]);
        }
        for (byte, &sum) in target.iter_mut().zip(&sums) {
            *byte = (sum + 0.5) as u8;
        }
    }
}

/// Returns the weights at −r … r pixels. Their sum is 1.
fn kernel(sigma: f32) -> Vec<f32> {
    let radius = (CUT_OFF * sigma).ceil() as i32;
    let gaussian = |offset: i32| (-0.5 * (offset as f32 / sigma).powi(2)).exp();
    let weights: Vec<f32> = (-radius..=radius).map(gaussian).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Convolves every row. The result is not rounded, so that rounding happens only once.
fn blur_rows(image: &RgbImage, kernel: &[f32]) -> Vec<f32> {
    let width = image.width() as usize;
    let radius = kernel.len() / 2;
    let columns: Vec<usize> = (0..width + 2 * radius)
        .map(|x| reflect(x, radius, width))
        .collect();
    let mut padded = vec![0.0; columns.len() * CHANNELS];
    let mut blurred = vec![0.0; image.len()];
    let rows = image.chunks_exact(width * CHANNELS);
    for (source, sums) in rows.zip(blurred.chunks_exact_mut(width * CHANNELS)) {
        for (pixel, &x) in padded.chunks_exact_mut(CHANNELS).zip(&columns) {
            for (value, &byte) in pixel.iter_mut().zip(&source[x * CHANNELS..]) {
                *value = f32::from(byte);
            }
        }
        for (k, &weight) in kernel.iter().enumerate() {
            add(sums, weight, &padded[k * CHANNELS..]);
        }
    }
    blurred
}

/// Adds `weight` times the first of `values` to `sums`.
fn add(sums: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// Returns the pixel, 0 to `length` − 1, at offset `position` − `radius` from the first. Offsets beyond
/// an end are reflected about the centre of the last pixel.
fn reflect(position: usize, radius: usize, length: usize) -> usize {
    let last = length - 1;
    let period = (2 * last).max(1);
    // Adding `radius` whole periods keeps the difference from falling below 0.
    let phase = (position + radius * period - radius) % period;
    phase.min(period - phase).min(last)
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::super::tests::{assert_close, pattern};
    use super::*;

    fn blurred(image: &RgbImage, sigma: f32) -> RgbImage {
        let mut image = image.clone();
        blur(&mut image, sigma);
        image
    }

    // y, x = np.mgrid[:9, :13]
    // a = np.stack([x * 53 % 256, y * 71 % 256, x * y * 29 % 256], 2).astype(np.uint8)
    // t = torch.from_numpy(a).permute(2, 0, 1)
    // k = 2 * math.ceil(3 * sigma) + 1
    // F.gaussian_blur(t, [k, k], [sigma, sigma]).permute(1, 2, 0).reshape(-1)[::7]
    #[test]
    fn blur_agrees_with_torchvision_within_one_level() {
        // One level, since sums between two bytes are added in another order.
        // sigma = 1
        let golden = [
            39, 52, 74, 115, 52, 43, 60, 79, 99, 153, 79, 74, 105, 128, 113, 144, 128, 60, 144,
            136, 117, 94, 136, 96, 135, 105, 113, 79, 113, 113, 86, 113, 101, 88, 157, 108, 77,
            157, 130, 39, 170, 128, 115, 170, 158, 60, 158, 149, 153, 158, 178,
        ];
        assert_close(&blurred(&pattern(), 1.0), &golden, 1);
        // sigma = 2.5
        let golden = [
            86, 98, 95, 113, 98, 87, 89, 101, 102, 114, 101, 89, 95, 107, 107, 112, 107, 89, 102,
            115, 111, 107, 115, 99, 107, 124, 114, 103, 133, 111, 110, 133, 118, 101, 141, 120,
            112, 141, 124, 86, 147, 125, 113, 147, 130, 89, 149, 126, 114, 149, 132,
        ];
        assert_close(&blurred(&pattern(), 2.5), &golden, 1);
    }

    #[test]
    fn sigma_of_a_tenth_of_a_pixel_changes_nothing() {
        assert_eq!(blurred(&pattern(), 0.1), pattern());
    }

    #[test]
    fn a_blur_can_be_wider_than_the_image_and_an_image_one_pixel() {
        let speck = RgbImage::from_pixel(1, 1, Rgb([1, 128, 255]));
        assert_eq!(blurred(&speck, 50.0), speck);
        let line = RgbImage::from_fn(4, 1, |x, _| Rgb([200 * (x % 2) as u8; 3]));
        let wide = blurred(&line, 50.0);
        assert!(
            wide.iter().all(|value| value.abs_diff(100) <= 1),
            "{wide:?}"
        );
        assert!(blurred(&RgbImage::new(0, 3), 1.0).is_empty());
    }

    #[test]
    fn reflection_does_not_repeat_the_border() {
        let seen = |length| (0..9).map(|i| reflect(i, 4, length)).collect::<Vec<_>>();
        assert_eq!(seen(3), [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(seen(2), [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(seen(1), [0; 9]);
    }

    #[test]
    fn a_point_becomes_a_gaussian() {
        let mut image = RgbImage::new(21, 21);
        image.put_pixel(10, 10, Rgb([255; 3]));
        let blurred = blurred(&image, 2.0);
        for (x, y, pixel) in blurred.enumerate_pixels() {
            let square = (f64::from(x) - 10.0).powi(2) + (f64::from(y) - 10.0).powi(2);
            let density = (-square / 8.0).exp() / (8.0 * std::f64::consts::PI);
            let expected = 255.0 * density;
            assert!((f64::from(pixel[0]) - expected).abs() < 0.6, "at {x}, {y}");
        }
    }

    proptest! {
        #[test]
        fn blur_of_one_colour_is_that_colour(byte: u8, sigma in 0.1_f32..5.0) {
            let image = RgbImage::from_pixel(6, 5, Rgb([byte, 255 - byte, 77]));
            prop_assert_eq!(blurred(&image, sigma), image);
        }

        #[test]
        fn blur_keeps_the_mean(seed: u8, sigma in 0.1_f32..1.5) {
            // With a black frame as wide as the kernel, the border loses nothing.
            let frame = 6;
            let image = RgbImage::from_fn(30, 30, |x, y| {
                let inside = (frame..30 - frame).contains(&x) && (frame..30 - frame).contains(&y);
                let value = x * 53 + y * 71 + x * y * u32::from(seed);
                Rgb([if inside { (value % 256) as u8 } else { 0 }; 3])
            });
            let mean = |image: &RgbImage| {
                image.iter().map(|&value| f64::from(value)).sum::<f64>() / image.len() as f64
            };
            // 900 independent roundings of at most half a level.
            prop_assert!((mean(&blurred(&image, sigma)) - mean(&image)).abs() < 0.25);
        }
    }
}
