//! Dropout with a generator on the host.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Sets each of `features` to 0 with probability `share`, below 1, and divides the others by
/// 1 − `share`, which keeps their expectation (Srivastava et al. 2014, section 10, "inverted").
pub(super) fn dropout<B: Backend>(
    features: Tensor<B, 2>,
    share: f64,
    draws: &mut ChaCha8Rng,
) -> Tensor<B, 2> {
    if share == 0.0 {
        return features;
    }
    let kept = (1.0 / (1.0 - share)) as f32;
    let shape = features.dims();
    let mask: Vec<f32> = (0..shape.iter().product())
        .map(|_| if draws.random_bool(share) { 0.0 } else { kept })
        .collect();
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
        let features = dropout(ones, share, &mut ChaCha8Rng::seed_from_u64(1));
        let features: Vec<f32> = features.into_data().to_vec().unwrap();
        let dropped = features.iter().filter(|&&x| x == 0.0).count() as f64 / 1e5;
        // Five standard deviations of 100,000 draws.
        let margin = 5.0 * (share * (1.0 - share) / 1e5).sqrt();
        assert!((dropped - share).abs() < margin, "{dropped}");
        let kept = (1.0 / 0.7) as f32;
        assert!(features.iter().all(|&x| x == 0.0 || x == kept));
    }
}
