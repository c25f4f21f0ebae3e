//! The standardisation of features that a head is trained on.

use burn::{
    module::{Module, RunningState},
    tensor::{Tensor, TensorData, backend::Backend},
};

/// Standardises features: y = (x − mean) / deviation, number by number.
///
/// Both are computed from the training rows before a training. They are saved with the head and never trained.
#[derive(Module, Debug)]
pub struct Standardization<B: Backend> {
    /// The mean of each feature, `[F]`.
    pub mean: RunningState<Tensor<B, 1>>,
    /// The standard deviation of each feature, `[F]`, above 0.
    pub deviation: RunningState<Tensor<B, 1>>,
}

impl<B: Backend> Standardization<B> {
    /// Changes nothing, until a checkpoint is loaded or it is [set](Self::set).
    pub(super) fn identity(features: usize, device: &B::Device) -> Self {
        Self {
            mean: RunningState::new(Tensor::zeros([features], device)),
            deviation: RunningState::new(Tensor::ones([features], device)),
        }
    }

    /// Sets the mean and the standard deviation of each feature.
    ///
    /// # Panics
    /// If the number of features is another.
    pub fn set(self, mean: Vec<f32>, deviation: Vec<f32>) -> Self {
        let (shape, device) = (self.mean.value().dims(), self.mean.value().device());
        let tensor =
            |values| RunningState::new(Tensor::from_data(TensorData::new(values, shape), &device));
        Self {
            mean: tensor(mean),
            deviation: tensor(deviation),
        }
    }

    /// Standardises `features`, `[N, F]`.
    pub(super) fn forward(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let row = |state: &RunningState<Tensor<B, 1>>| state.value().unsqueeze();
        (features - row(&self.mean)) / row(&self.deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn mean_is_subtracted_and_deviation_divides() {
        let device = Default::default();
        let features = Tensor::<B, 2>::from_data([[1.0, -2.0], [5.0, 2.0]], &device);
        let identity = Standardization::identity(2, &device);
        let same = identity.forward(features.clone()).into_data();
        same.assert_eq(&features.to_data(), true);
        let set = identity.set(vec![3.0, 1.0], vec![2.0, 4.0]);
        let expected = Tensor::<B, 2>::from_data([[-1.0, -0.75], [1.0, 0.25]], &device);
        let standardised = set.forward(features).into_data();
        standardised.assert_eq(&expected.into_data(), true);
    }
}
