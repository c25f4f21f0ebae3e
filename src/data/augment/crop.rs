//! Random resized crops (Szegedy et al., "Going deeper with convolutions", 2015), with the
//! distribution of torchvision's `RandomResizedCrop`.

use rand::{Rng, RngExt};

use super::uniform;
use crate::data::resize::Rectangle;

/// Rectangles tried before giving up, as in torchvision.
const TRIES: usize = 10;

/// A part of an image of `size` (width, height; at least 1×1) whose share of the area is uniform in
/// `scale` and whose width divided by height is log-uniform in `ratio`, at a uniform place.
///
/// Where ten such rectangles are all too wide or too high for the image, its middle: all of it, or
/// as much as has a ratio within the range.
///
/// The number of values drawn is always the same.
pub(crate) fn random_resized_crop(
    size: (u32, u32),
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut impl Rng,
) -> Rectangle {
    random_rectangle(size, size, scale, ratio, rng).unwrap_or_else(|| middle(size, ratio))
}

/// The first of ten rectangles, drawn as for [`random_resized_crop`], that has at least one pixel
/// and is no larger than `largest` (width, height), which is no larger than `size`.
///
/// All ten are drawn even where the first will do, so that what is drawn afterwards does not depend
/// on it.
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
    let place: [f64; 2] = rng.random();

    let fits = |[width, height]: &[u32; 2]| {
        (1..=largest.0).contains(width) && (1..=largest.1).contains(height)
    };
    let [width, height] = shapes.into_iter().find(fits)?;
    Some(Rectangle {
        x: offset(size.0 - width, place[0]),
        y: offset(size.1 - height, place[1]),
        width,
        height,
    })
}

/// 0 to `last`, each equally likely for a `place` uniform in [0, 1).
fn offset(last: u32, place: f64) -> u32 {
    (place * (f64::from(last) + 1.0)) as u32
}

/// The largest part around the middle with width divided by height within the range.
fn middle((width, height): (u32, u32), [least, most]: [f64; 2]) -> Rectangle {
    let [w, h] = [width, height].map(f64::from);
    let wanted = [w.min(h * most), h.min(w / least)];
    // A range that begins above 1 or ends below it would leave less than a pixel of the thinnest
    // images.
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

    /// ImageNet's customary ranges.
    const SCALE: [f64; 2] = [0.08, 1.0];
    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    /// Width divided by height, and by how much it can be off since both are whole.
    fn ratio_of(part: Rectangle) -> (f64, f64) {
        let [w, h] = [part.width, part.height].map(f64::from);
        (w / h, (w + 0.5) / (h - 0.5) - w / h)
    }

    #[test]
    fn ten_misfits_give_the_middle_that_torchvision_gives() {
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
    fn every_place_of_a_crop_is_equally_likely() {
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
            // So small a share always fits.
            let part = random_resized_crop((3000, 2000), [0.1, 0.3], [0.5, 2.0], &mut rng);
            area += f64::from(part.width) * f64::from(part.height) / 6e6;
            log_ratio += ratio_of(part).0.ln();
            wide += u32::from(ratio_of(part).0 > 2.0_f64.sqrt());
        }
        // Five standard errors: 5 · (b − a) / √12 / √4000, and 5 · √(¼ · ¾ · 4000).
        let draws_f = f64::from(draws);
        assert!((area / draws_f - 0.2).abs() < 0.0046);
        assert!((log_ratio / draws_f).abs() < 0.032);
        assert!(wide.abs_diff(draws / 4) < 137, "{wide} of {draws}");
    }

    proptest! {
        #[test]
        fn a_crop_lies_inside(
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
        fn a_crop_of_a_nearly_square_image_keeps_both_ranges(
            size in (100_u32..400, 0.75..1.33_f64),
            seed: u64,
        ) {
            let size = (size.0, (f64::from(size.0) * size.1).round() as u32);
            let part = random_resized_crop(size, SCALE, RATIO, &mut ChaCha8Rng::seed_from_u64(seed));
            let (ratio, slack) = ratio_of(part);
            prop_assert!(ratio >= RATIO[0] - slack && ratio <= RATIO[1] + slack, "ratio {ratio}");
            let whole = f64::from(size.0) * f64::from(size.1);
            let area = f64::from(part.width) * f64::from(part.height);
            // Half a pixel in either side.
            let slack = 0.5 * f64::from(part.width + part.height) + 0.25;
            prop_assert!(area >= SCALE[0] * whole - slack && area <= whole, "{part:?} of {size:?}");
        }
    }
}
