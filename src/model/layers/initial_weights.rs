//! Initial weights. They are drawn on the host, so that a seed determines the same network on every
//! backend.

use std::cell::RefCell;

use burn::module::Param;
use burn::tensor::{Distribution, Shape, Tensor, TensorData, backend::Backend};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

thread_local! {
    /// The generator for the weights of layers that this thread creates.
    static DRAWS: RefCell<ChaCha12Rng> = RefCell::new(ChaCha12Rng::seed_from_u64(0));
}

/// Runs `init` with weights that depend only on `seed` and on the order in which layers are created.
/// Layers created outside of it draw from one stream of seed 0.
pub(in crate::model) fn with_seed<T>(seed: u64, init: impl FnOnce() -> T) -> T {
    let previous = DRAWS.replace(ChaCha12Rng::seed_from_u64(seed));
    let layers = init();
    DRAWS.set(previous);
    layers
}

/// A parameter of f32 numbers drawn independently from `distribution`.
pub(in crate::model) fn draw<B: Backend, const D: usize>(
    shape: [usize; D],
    distribution: Distribution,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let data = DRAWS.with_borrow_mut(|draws| {
        TensorData::random::<f32, _, _>(Shape::from(shape), distribution, draws)
    });
    Param::from_data(data.convert::<B::FloatElem>(), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    fn values(seed: u64) -> Vec<f32> {
        let draw = || {
            draw::<B, 2>(
                [50, 40],
                Distribution::Normal(0.0, 0.5),
                &Default::default(),
            )
        };
        let weights = with_seed(seed, draw).val().into_data();
        weights.into_vec().unwrap()
    }

    #[test]
    fn weights_depend_on_the_seed_only() {
        let first = values(1);
        assert_eq!(values(1), first);
        assert_ne!(values(2), first);
    }

    #[test]
    fn weights_have_the_standard_deviation_of_the_distribution() {
        let weights = values(3);
        let square: f64 = weights.iter().map(|&x| f64::from(x).powi(2)).sum();
        let deviation = (square / weights.len() as f64).sqrt();
        // The standard error for 2,000 draws is 0.5/√4000 = 0.008; the bound is six times that.
        assert!((deviation - 0.5).abs() < 0.05, "{deviation}");
    }
}
