//! Random resized crops (Szegedy et al., "Going deeper with convolutions", 2015), with the distribution
//! of torchvision's `RandomResizedCrop`.

use rand::{Rng, RngExt};

use super::draw::uniform;
use crate::data::resize::Rectangle;

/// Rectangles tried before the fallback, as in torchvision.
const TRIES: usize = 10;

/// Draws a rectangle of an image of `size` (width, height; at least 1×1). Its share of the area is
/// uniform in `scale`, its width divided by height is log-uniform in `ratio`, its position is uniform.
///
/// If ten such rectangles are all too wide or too high for the image, this returns the middle of the
/// image: the largest part with a ratio within the range.
///
/// The number of random values drawn is always the same.
pub(crate) fn random_resized_crop(
    size: (u32, u32),
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut impl Rng,
) -> Rectangle {
    random_rectangle(size, size, scale, ratio, rng).unwrap_or_else(|| middle(size, ratio))
}

/// Draws ten rectangles as [`random_resized_crop`] does. Returns the first that has at least one pixel
/// and is at most `largest` (width, height), which must be at most `size`.
///
/// All ten are always drawn, so that later draws do not depend on which one fits.
pub(super) fn random_rectangle(
    size: (u32, u32),
    largest: (u32, u32),
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut impl Rng,
) -> Option<Rectangle> {
    let area = f64::from(size.0) * f64::from(size.1);
    let shapes = [(); TRIES].map(|()| {
        let area = area * uniform(scale, rng);
        let ratio = uniform(ratio.map(f64::ln), rng).exp();
        let [width, height] = [area * ratio, area / ratio];
        [width, height].map(|square| square.sqrt().round_ties_even() as u32)
    });
    let position: [f64; 2] = rng.random();

    let fits = |[width, height]: &[u32; 2]| {
        (1..=largest.0).contains(width) && (1..=largest.1).contains(height)
    };
    let [width, height] = shapes.into_iter().find(fits)?;
    Some(Rectangle {
        x: offset(size.0 - width, position[0]),
        y: offset(size.1 - height, position[1]),
        width,
        height,
    })
}

/// Returns 0 to `last`, each equally likely for a `position` uniform in [0, 1).
fn offset(last: u32, position: f64) -> u32 {
    (position * (f64::from(last) + 1.0)) as u32
}

/// Returns the largest central part whose width divided by height is within the range.
fn middle((width, height): (u32, u32), [least, most]: [f64; 2]) -> Rectangle {
    let [w, h] = [width, height].map(f64::from);
    let wanted = [w.min(h * most), h.min(w / least)];
    // If the range does not contain 1, less than a pixel could remain of very narrow images.
    let [inner_width, inner_height] = wanted.map(|side| side.round_ties_even().max(1.0) as u32);
    Rectangle {
        x: (width - inner_width) / 2,
        y: (height - inner_height) / 2,
        width: inner_width,
        height: inner_height,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The usual ranges for ImageNet.
    const SCALE: [f64; 2] = [0.08, 1.0];
    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    /// Returns width divided by height, and its largest rounding error.
    fn aspect_ratio(part: Rectangle) -> (f64, f64) {
        let [w, h] = [part.width, part.height].map(f64::from);
        (w / h, (w + 0.5) / (h - 0.5) - w / h)
    }

    #[test]
    fn without_a_fit_the_middle_equals_torchvisions() {
        // RandomResizedCrop(1, scale=(1, 1), ratio=r).make_params([torch.zeros(3, h, w)])
        let all = [1.0, 1.0];
        let crop = |size, ratio| {
            let part = random_resized_crop(size, all, ratio, &mut ChaCha8Rng::seed_from_u64(1));
            (part.x, part.y, part.width, part.height)
        };
        assert_eq!(crop((100, 20), RATIO), (36, 0, 27, 20));
        assert_eq!(crop((20, 100), RATIO), (0, 36, 20, 27));
        assert_eq!(crop((30, 31), [1.1, 1.2]), (0, 2, 30, 27));
        assert_eq!(crop((31, 30), [0.8, 0.9]), (2, 0, 27, 30));
        assert_eq!(crop((1, 1), [10.0, 10.0]), (0, 0, 1, 1));
    }

    #[test]
    fn every_position_of_a_crop_is_equally_likely() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [[0_u32; 5]; 3];
        for _ in 0..1500 {
            // Always 2 of 6 by 2 of 4 pixels.
            let part = random_resized_crop((6, 4), [4.0 / 24.0; 2], [1.0; 2], &mut rng);
            assert_eq!((part.width, part.height), (2, 2));
            counts[part.y as usize][part.x as usize] += 1;
        }
        // 100 each; five standard deviations of a count of 1500 with probability 1/15 are 48.
        for count in counts.into_iter().flatten() {
            assert!(count.abs_diff(100) < 48, "{counts:?}");
        }
    }

    #[test]
    fn area_is_uniform_and_ratio_is_log_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let draws = 4000;
        let (mut area, mut log_ratio, mut wide) = (0.0, 0.0, 0);
        for _ in 0..draws {
            // Such a small share always fits.
            let part = random_resized_crop((3000, 2000), [0.1, 0.3], [0.5, 2.0], &mut rng);
            area += f64::from(part.width) * f64::from(part.height) / 6e6;
            log_ratio += aspect_ratio(part).0.ln();
            wide += u32::from(aspect_ratio(part).0 > 2.0_f64.sqrt());
        }
        // Five standard errors: 5 · (b − a) / √12 / √4000, and 5 · √(¼ · ¾ · 4000).
        let draws_f = f64::from(draws);
        assert!((area / draws_f - 0.2).abs() < 0.0046);
        assert!((log_ratio / draws_f).abs() < 0.032);
        assert!(wide.abs_diff(draws / 4) < 137, "{wide} of {draws}");
    }

    proptest! {
        #[test]
        fn a_crop_is_inside_the_image(
            size in (1_u32..400, 1_u32..400),
            scale in (0.01..1.0, 0.0..1.0_f64),
            ratio in (0.1..10.0, 1.0..10.0_f64),
            seed: u64,
        ) {
            let scale = [scale.0, scale.0 + (1.0 - scale.0) * scale.1];
            let ratio = [ratio.0, ratio.0 * ratio.1];
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let part = random_resized_crop(size, scale, ratio, &mut rng);
            prop_assert!(part.width >= 1 && part.height >= 1);
            prop_assert!(part.x + part.width <= size.0);
            prop_assert!(part.y + part.height <= size.1);
        }

        #[test]
        fn a_crop_of_a_nearly_square_image_respects_both_ranges(
            size in (100_u32..400, 0.75..1.33_f64),
            seed: u64,
        ) {
            let size = (size.0, (f64::from(size.0) * size.1).round() as u32);
            let part = random_resized_crop(size, SCALE, RATIO, &mut ChaCha8Rng::seed_from_u64(seed));
            let (ratio, slack) = aspect_ratio(part);
            prop_assert!(ratio >= RATIO[0] - slack && ratio <= RATIO[1] + slack, "ratio {ratio}");
            let whole = f64::from(size.0) * f64::from(size.1);
            let area = f64::from(part.width) * f64::from(part.height);
            // Half a pixel in each side.
            let slack = 0.5 * f64::from(part.width + part.height) + 0.25;
            prop_assert!(area >= SCALE[0] * whole - slack && area <= whole, "{part:?} of {size:?}");
        }
    }
}
