//! Rotation of the hue in HSV, as torchvision's `adjust_hue` on tensors.
//!
//! The `image` crate's `huerotate` rotates about the grey axis of RGB instead, which also changes HSV's
//! saturation and value.

use image::RgbImage;

/// Values of a pixel.
const CHANNELS: usize = 3;
/// Pixels whose channels are separated together, so that the compiler vectorises the arithmetic. This is
/// twice as fast as pixel by pixel.
const BLOCK: usize = 64;

/// Rotates the hue of every pixel by this many turns.
pub(super) fn rotate_hue(image: &mut RgbImage, turns: f32) {
    let sextants = 6.0 * (turns - turns.round());
    let [mut red, mut green, mut blue] = [[0.0; BLOCK]; 3];
    for block in image.chunks_mut(BLOCK * CHANNELS) {
        for (i, pixel) in block.chunks_exact(CHANNELS).enumerate() {
            red[i] = f32::from(pixel[0]);
            green[i] = f32::from(pixel[1]);
            blue[i] = f32::from(pixel[2]);
        }
        for i in 0..BLOCK {
            [red[i], green[i], blue[i]] = rotate_pixel([red[i], green[i], blue[i]], sextants);
        }
        for (i, pixel) in block.chunks_exact_mut(CHANNELS).enumerate() {
            // Rounded, since `as` truncates.
            pixel.copy_from_slice(&[red[i], green[i], blue[i]].map(|value| (value + 0.5) as u8));
        }
    }
}

/// Rotates the hue of a pixel by −3 to 3 sextants, without branches.
#[inline]
fn rotate_pixel([red, green, blue]: [f32; 3], sextants: f32) -> [f32; 3] {
    // The hues of pure red, green and blue, in sextants.
    const PURE: [f32; 3] = [0.0, 2.0, 4.0];
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    let range = most - least;
    // Grey has no hue. 1, the next larger range of bytes, keeps the quotients finite.
    let unit = range.max(1.0);
    let near_red = PURE[0] + (green - blue) / unit;
    let near_green = PURE[1] + (blue - red) / unit;
    let near_blue = PURE[2] + (red - green) / unit;
    let others = if most == green { near_green } else { near_blue };
    let hue = sextants + if most == red { near_red } else { others };
    // A channel is largest within one sextant of its pure hue, and smallest from two sextants on.
    PURE.map(|own| {
        let distance = (hue - own).abs();
        let distance = distance.min((6.0 - distance).abs());
        least + range * (2.0 - distance).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::super::tests::{assert_close, pattern};
    use super::*;

    fn with_hue(turns: f32, image: &RgbImage) -> RgbImage {
        let mut image = image.clone();
        rotate_hue(&mut image, turns);
        image
    }

    // from torchvision.transforms.v2 import functional as F                  # torchvision 0.26
    // y, x = np.mgrid[:9, :13]
    // a = np.stack([x * 53 % 256, y * 71 % 256, x * y * 29 % 256], 2).astype(np.uint8)
    // t = torch.from_numpy(a).permute(2, 0, 1)
    #[test]
    fn hue_agrees_with_torchvision_within_one_level() {
        // Compared with the tensor version, since Pillow has only 256 hues and differs by up to 9
        // levels. One level, since torchvision truncates where this rounds.
        // F.adjust_hue(t, turns).permute(1, 2, 0).reshape(-1)[::7]
        // turns = 0.3
        let golden = [
            0, 106, 0, 23, 221, 0, 29, 159, 98, 232, 18, 71, 109, 194, 142, 10, 71, 213, 5, 9, 213,
            63, 163, 28, 212, 30, 28, 252, 19, 84, 213, 99, 60, 204, 53, 149, 20, 170, 204, 0, 106,
            231, 116, 241, 241, 232, 133, 81, 86, 26, 56,
        ];
        assert_close(&with_hue(0.3, &pattern()), &golden, 1);
        // turns = -0.1
        let golden = [
            0, 0, 127, 115, 0, 42, 71, 71, 137, 71, 71, 124, 118, 142, 62, 221, 142, 0, 213, 213,
            97, 51, 186, 116, 106, 87, 168, 28, 99, 34, 9, 172, 68, 99, 174, 10, 152, 137, 126,
            145, 241, 44, 165, 137, 83, 53, 56, 136, 168, 56, 224,
        ];
        assert_close(&with_hue(-0.1, &pattern()), &golden, 1);
        // turns = 0.5
        let golden = [
            0, 106, 212, 0, 221, 71, 47, 159, 9, 135, 18, 103, 142, 232, 112, 10, 71, 213, 59, 9,
            213, 213, 20, 28, 28, 184, 36, 209, 0, 106, 213, 247, 221, 179, 57, 170, 128, 112, 18,
            241, 106, 241, 241, 35, 127, 232, 184, 9, 56, 16, 56,
        ];
        assert_close(&with_hue(0.5, &pattern()), &golden, 1);
    }

    #[test]
    fn a_third_of_a_turn_permutes_the_pure_colours() {
        let turn = |pixel, turns: f32| {
            let image = RgbImage::from_pixel(1, 1, Rgb(pixel));
            with_hue(turns, &image)[(0, 0)].0
        };
        assert_eq!(turn([200, 0, 0], 1.0 / 3.0), [0, 200, 0]);
        assert_eq!(turn([0, 200, 0], 1.0 / 3.0), [0, 0, 200]);
        assert_eq!(turn([0, 0, 200], 1.0 / 3.0), [200, 0, 0]);
        assert_eq!(turn([200, 0, 0], -1.0 / 3.0), [0, 0, 200]);
        assert_eq!(turn([200, 50, 50], 0.5), [50, 200, 200]);
    }

    proptest! {
        #[test]
        fn whole_turns_change_nothing(pixels in prop::collection::vec(any::<[u8; 3]>(), 1..200)) {
            // Fewer and more pixels than a block.
            let image = RgbImage::from_fn(pixels.len() as u32, 1, |x, _| Rgb(pixels[x as usize]));
            for turns in [0.0, 1.0, -1.0] {
                prop_assert_eq!(&with_hue(turns, &image), &image);
            }
        }

        #[test]
        fn rotating_the_hue_forth_and_back_restores_it(pixel: [u8; 3], turns in -0.5_f32..0.5) {
            let image = RgbImage::from_pixel(1, 1, Rgb(pixel));
            let there = with_hue(turns, &image)[(0, 0)].0;
            let back = with_hue(-turns, &RgbImage::from_pixel(1, 1, Rgb(there)));
            for (value, original) in back[(0, 0)].0.into_iter().zip(pixel) {
                prop_assert!(value.abs_diff(original) <= 1, "{pixel:?} {turns} {there:?} {back:?}");
            }
            prop_assert_eq!(there.iter().max(), pixel.iter().max());
            prop_assert_eq!(there.iter().min(), pixel.iter().min());
        }

        #[test]
        fn rotating_the_hue_does_not_change_grey(byte: u8, turns in -0.5_f32..0.5) {
            let image = RgbImage::from_pixel(2, 1, Rgb([byte; 3]));
            prop_assert_eq!(with_hue(turns, &image), image);
        }
    }
}
