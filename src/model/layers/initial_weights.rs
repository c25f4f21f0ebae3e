//! Initial weights, drawn on the host: the same seed gives the same network on every backend.

use std::cell::RefCell;

use burn::module::Param;
use burn::tensor::{Distribution, Shape, Tensor, TensorData, backend::Backend};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

thread_local! {
    /// Where the layers that this thread makes take their weights from.
    static DRAWS: RefCell<ChaCha12Rng> = RefCell::new(ChaCha12Rng::seed_from_u64(0));
}

/// Makes layers whose weights depend on `seed` and on the order in which they are made. Layers made
/// outside of it continue a stream of seed 0.
pub(in crate::model) fn with_seed<T>(seed: u64, make: impl FnOnce() -> T) -> T {
    let before = DRAWS.replace(ChaCha12Rng::seed_from_u64(seed));
    let made = make();
    DRAWS.set(before);
    made
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
    fn weights_depend_on_the_seed_and_on_nothing_drawn_before() {
        let first = values(1);
        assert_eq!(values(1), first);
        assert_ne!(values(2), first);
    }

    #[test]
    fn weights_have_the_asked_for_spread() {
        let weights = values(3);
        let square: f64 = weights.iter().map(|&x| f64::from(x).powi(2)).sum();
        let spread = (square / weights.len() as f64).sqrt();
        // Of 2,000 draws the spread is known to 0.5/√4000 = 0.008; six times that.
        assert!((spread - 0.5).abs() < 0.05, "{spread}");
    }
}
