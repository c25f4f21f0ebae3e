//! Dropout with a generator on the host.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::train_step_options::OtherRows;

/// Sets each of `features` to 0 with probability `share`, below 1, and divides the others by
/// 1 − `share`, which keeps their expectation (Srivastava et al. 2014, section 10, "inverted"). Draws for the
/// `other_rows` of the batch too.
pub(super) fn dropout<B: Backend>(
    features: Tensor<B, 2>,
    share: f64,
    draws: &mut ChaCha8Rng,
    other_rows: OtherRows,
) -> Tensor<B, 2> {
    if share == 0.0 {
        return features;
    }
    let kept = (1.0 / (1.0 - share)) as f32;
    let shape @ [_, width] = features.dims();
    let mut draw = |values| -> Vec<f32> {
        let draw = |_| if draws.random_bool(share) { 0.0 } else { kept };
        (0..values).map(draw).collect()
    };
    draw(other_rows.before * width);
    let mask = draw(shape.iter().product());
    draw(other_rows.after * width);
    let mask = Tensor::from_data(TensorData::new(mask, shape), &features.device());
    features * mask
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn dropout_sets_its_share_to_zero_and_keeps_the_expectation() {
        let share = 0.3;
        let ones = Tensor::<B, 2>::ones([100, 1000], &Default::default());
        let features = dropout(
            ones,
            share,
            &mut ChaCha8Rng::seed_from_u64(1),
            OtherRows::default(),
        );
        let features: Vec<f32> = features.into_data().to_vec().unwrap();
        let dropped = features.iter().filter(|&&x| x == 0.0).count() as f64 / 1e5;
        // Five standard deviations of 100,000 draws.
        let margin = 5.0 * (share * (1.0 - share) / 1e5).sqrt();
        assert!((dropped - share).abs() < margin, "{dropped}");
        let kept = (1.0 / 0.7) as f32;
        assert!(features.iter().all(|&x| x == 0.0 || x == kept));
    }

    #[test]
    fn parts_of_a_batch_have_the_masks_of_the_whole() {
        let masked = |rows: usize, other_rows| {
            let mut draws = ChaCha8Rng::seed_from_u64(3);
            let ones = Tensor::<B, 2>::ones([rows, 7], &Default::default());
            let masked = dropout(ones, 0.5, &mut draws, other_rows);
            let next = dropout(
                Tensor::<B, 2>::ones([1, 9], &Default::default()),
                0.5,
                &mut draws,
                OtherRows::default(),
            );
            let values = |tensor: Tensor<B, 2>| tensor.into_data().to_vec::<f32>().unwrap();
            (values(masked), values(next))
        };
        let (whole, next) = masked(5, OtherRows::default());
        let other = |before, after| OtherRows { before, after };
        let (first, next_of_first) = masked(2, other(0, 3));
        let (second, next_of_second) = masked(3, other(2, 0));
        assert_eq!([first, second].concat(), whole);
        // A second layer draws the same, too.
        assert_eq!((&next_of_first, &next_of_second), (&next, &next));
    }
}
