//! Batch norm on channels-last feature maps.

use burn::{
    config::Config,
    module::{Module, Param, RunningState},
    nn::Initializer,
    tensor::{DType, Tensor, backend::Backend},
};

use super::ConvAlgorithm;

/// Configuration of a [`BatchNorm`].
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// C, the number of channels.
    pub channels: usize,
    /// ε, added to the variance, above 0 (PyTorch's default; torchvision's GoogLeNet has 1e-3).
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics, 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
    /// Whether the layer uses its running statistics in training too.
    #[config(default = false)]
    pub frozen: bool,
}

/// Batch norm: y = γ (x − μ) / √(σ² + ε) + β for each channel (Ioffe & Szegedy 2015, algorithm 1).
///
/// In training (the backend tracks gradients) μ and σ² are the batch's mean and biased variance; the
/// running statistics are updated with the mean and the *unbiased* variance, as in PyTorch. Otherwise,
/// and always if the layer is frozen, μ and σ² are the running statistics, which stay unchanged.
#[derive(Module, Debug)]
pub struct BatchNorm<B: Backend> {
    /// γ, `[C]`.
    pub weight: Param<Tensor<B, 1>>,
    /// β, `[C]`.
    pub bias: Param<Tensor<B, 1>>,
    /// Running mean, `[C]`.
    pub running_mean: RunningState<Tensor<B, 1>>,
    /// Running unbiased variance, `[C]`.
    pub running_var: RunningState<Tensor<B, 1>>,
    epsilon: f64,
    momentum: f64,
    #[module(skip)]
    frozen: bool,
}

impl BatchNormConfig {
    /// The layer with γ = 1, β = 0, running mean 0 and running variance 1.
    pub fn init<B: Backend>(&self, device: &B::Device) -> BatchNorm<B> {
        BatchNorm {
            weight: Initializer::Ones.init([self.channels], device),
            bias: Initializer::Zeros.init([self.channels], device),
            running_mean: RunningState::new(Tensor::zeros([self.channels], device)),
            running_var: RunningState::new(Tensor::ones([self.channels], device)),
            epsilon: self.epsilon,
            momentum: self.momentum,
            frozen: self.frozen,
        }
    }
}

impl<B: Backend> BatchNorm<B> {
    /// Whether a forward pass on `device` uses the batch's statistics: in training, unless the layer is
    /// frozen.
    pub fn uses_batch(&self, device: &B::Device) -> bool {
        !self.frozen && B::ad_enabled(device)
    }

    /// Normalises `x` with the batch's statistics. `algorithm` computes the sums;
    /// `update_statistics`: whether to update the running statistics.
    ///
    /// Statistics and output are computed in f32. The output is rounded to the number format of `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C]`
    /// - output: `[N, H, W, C]`
    pub fn normalised(
        &self,
        x: Tensor<B, 4>,
        algorithm: ConvAlgorithm,
        update_statistics: bool,
    ) -> Tensor<B, 4> {
        let precision = x.dtype();
        let [n, h, w, c] = x.dims();
        let x = x.cast(DType::F32).reshape([n * h * w, c]);

        // The mean is subtracted as a constant, so that the backward pass does not process a whole map
        // for the subtraction. The mean's gradient is added below.
        let mean = channel_means(x.clone().detach(), n, algorithm);
        let centred = x - mean.clone();
        let fixed = centred.clone().detach();

        // Values 0 and σ², gradients 1/L and 2 (x − μ)/L: exactly those of the mean and the
        // biased variance.
        let residual = channel_means(centred.clone(), n, algorithm);
        let half_tracked = channel_means(centred.clone() * fixed, n, algorithm);
        let variance = half_tracked.clone() * 2.0 - half_tracked.detach();

        if update_statistics {
            self.update_running(mean, variance.clone().detach(), n * h * w);
        }

        let scale = self.weight.val().unsqueeze() / (variance + self.epsilon).sqrt();
        let shift = self.bias.val().unsqueeze() - residual * scale.clone();
        let y = (centred * scale + shift).reshape([n, h, w, c]);
        y.cast(precision)
    }

    /// The factor and the offset, `[C]` each, of the normalisation with the running statistics:
    /// y = factor · x + offset.
    pub fn inference_affine(&self) -> (Tensor<B, 1>, Tensor<B, 1>) {
        let deviation = (self.running_var.value() + self.epsilon).sqrt();
        let factor = self.weight.val() / deviation;
        let offset = self.bias.val() - self.running_mean.value() * factor.clone();
        (factor, offset)
    }

    /// Whether the layer always uses its running statistics.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// ε.
    pub(in crate::model) fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The weight of a batch in the running statistics.
    pub(in crate::model) fn momentum(&self) -> f64 {
        self.momentum
    }

    /// Updates the running statistics with the `mean` and the biased `variance`, `[1, C]` each, of
    /// `count` values per channel.
    pub(in crate::model) fn update_running(
        &self,
        mean: Tensor<B, 2>,
        variance: Tensor<B, 2>,
        count: usize,
    ) {
        // The unbiased variance of a single value is undefined; its biased variance, 0, is used.
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        let blend = |running: &RunningState<Tensor<B, 1>>, batch: Tensor<B, 2>| {
            let kept = running.value_sync() * (1.0 - self.momentum);
            running.update((kept + batch.squeeze_dim::<1>(0) * self.momentum).detach());
        };
        blend(&self.running_mean, mean);
        blend(&self.running_var, variance * unbiased);
    }
}

/// The mean of each column of `x` `[N·M, C]` of N `images`, as `[1, C]`.
fn channel_means<B: Backend>(
    x: Tensor<B, 2>,
    images: usize,
    algorithm: ConvAlgorithm,
) -> Tensor<B, 2> {
    let rows = x.dims()[0];
    channel_sums(x, images, algorithm) / rows as f64
}

/// The sum of each column of `x` `[N·M, C]` of N `images`, as `[1, C]`, in f32. Every image is summed
/// separately, which bounds the error of single-precision sums.
///
/// [`ConvAlgorithm::Im2col`] multiplies by a row of ones: the gradient is an outer product, one pass
/// over memory. [`ConvAlgorithm::Backend`] sums: GPUs may round the factors of products to 11
/// significant bits (TF32), and fuse a sum with its operand's computation.
pub(in crate::model) fn channel_sums<B: Backend>(
    x: Tensor<B, 2>,
    images: usize,
    algorithm: ConvAlgorithm,
) -> Tensor<B, 2> {
    let [rows, c] = x.dims();
    let device = x.device();
    let x = x.cast(DType::F32).reshape([images, rows / images, c]);
    let sums = match algorithm {
        ConvAlgorithm::Im2col => Tensor::ones([1, 1, rows / images], &device).matmul(x),
        ConvAlgorithm::Backend => x.sum_dim(1),
    };
    sums.sum_dim(0).squeeze_dim(0)
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::TensorData};

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    const SHAPE: [usize; 4] = [2, 3, 2, 2];
    const EPSILON: f64 = 1e-3;
    const GAMMA: [f64; 2] = [1.5, -0.7];
    const BETA: [f64; 2] = [0.2, 0.4];

    /// Far from zero, where a variance computed as E[x²] − E[x]² has a visible error.
    fn input() -> Vec<f64> {
        (0..24)
            .map(|i| 5.0 + (i as f64 * 1.7).sin() * (1.0 + i as f64 / 24.0))
            .collect()
    }

    fn probe() -> Vec<f64> {
        (0..24).map(|i| (i as f64 * 0.9).cos()).collect()
    }

    fn layer() -> BatchNorm<AB> {
        let device = Default::default();
        let vector =
            |v: [f64; 2]| Param::from_tensor(Tensor::from_floats(v.map(|x| x as f32), &device));
        BatchNorm {
            weight: vector(GAMMA),
            bias: vector(BETA),
            ..BatchNormConfig::new(2).with_epsilon(EPSILON).init(&device)
        }
    }

    fn normalised(layer: &BatchNorm<AB>, x: Tensor<AB, 4>) -> Tensor<AB, 4> {
        layer.normalised(x, ConvAlgorithm::Im2col, true)
    }

    fn tensor(values: &[f64]) -> Tensor<AB, 4> {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, SHAPE), &Default::default())
    }

    /// Mean and biased variance of channel `c`, which is every second value.
    fn moments(x: &[f64], c: usize) -> (f64, f64) {
        let values: Vec<f64> = x.iter().skip(c).step_by(2).copied().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = |v: &f64| (v - mean).powi(2);
        (
            mean,
            values.iter().map(square).sum::<f64>() / values.len() as f64,
        )
    }

    fn expected(x: &[f64]) -> Vec<f64> {
        let normalise = |(i, v): (usize, &f64)| {
            let c = i % 2;
            let (mean, variance) = moments(x, c);
            GAMMA[c] * (v - mean) / (variance + EPSILON).sqrt() + BETA[c]
        };
        x.iter().enumerate().map(normalise).collect()
    }

    fn probed(x: &[f64]) -> f64 {
        expected(x).iter().zip(probe()).map(|(y, p)| y * p).sum()
    }

    fn assert_close(found: TensorData, expected: &[f64], tolerance: f64) {
        let found: Vec<f64> = found.iter().collect();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < tolerance, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn training_output_equals_the_formula() {
        let output = normalised(&layer(), tensor(&input()));
        assert_close(output.into_data(), &expected(&input()), 1e-5);
    }

    #[test]
    fn gradients_equal_finite_differences_of_the_formula() {
        let layer = layer();
        let x = tensor(&input()).require_grad();
        let loss = (normalised(&layer, x.clone()) * tensor(&probe())).sum();
        let gradients = loss.backward();

        let step = 1e-5;
        let slope = |i: usize| {
            let moved = |by: f64| {
                let mut x = input();
                x[i] += by;
                probed(&x)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        let slopes: Vec<f64> = (0..24).map(slope).collect();
        assert_close(x.grad(&gradients).unwrap().into_data(), &slopes, 2e-5);

        let (mut gamma_gradient, mut beta_gradient) = ([0.0; 2], [0.0; 2]);
        for (i, (y, p)) in expected(&input()).iter().zip(probe()).enumerate() {
            gamma_gradient[i % 2] += p * (y - BETA[i % 2]) / GAMMA[i % 2];
            beta_gradient[i % 2] += p;
        }
        let gamma = layer.weight.val().grad(&gradients).unwrap();
        let beta = layer.bias.val().grad(&gradients).unwrap();
        assert_close(gamma.into_data(), &gamma_gradient, 2e-5);
        assert_close(beta.into_data(), &beta_gradient, 2e-5);
    }

    #[test]
    fn running_statistics_move_a_tenth_towards_the_mean_and_the_unbiased_variance() {
        let layer = layer();
        normalised(&layer, tensor(&input()));
        let moments = [moments(&input(), 0), moments(&input(), 1)];
        let mean = moments.map(|(mean, _)| 0.1 * mean);
        let variance = moments.map(|(_, variance)| 0.9 + 0.1 * variance * 12.0 / 11.0);
        assert_close(layer.running_mean.value_sync().into_data(), &mean, 1e-6);
        assert_close(layer.running_var.value_sync().into_data(), &variance, 1e-6);
    }

    #[test]
    fn inference_affine_uses_the_running_statistics() {
        let layer = layer();
        normalised(&layer, tensor(&input()));
        let (mean, variance) = moments(&input(), 1);
        let (mean, variance) = (0.1 * mean, 0.9 + 0.1 * variance * 12.0 / 11.0);
        let layer = burn::module::AutodiffModule::valid(&layer);
        let (factor, offset) = layer.inference_affine();
        let y = factor.into_data().iter::<f64>().nth(1).unwrap() * 5.0
            + offset.into_data().iter::<f64>().nth(1).unwrap();
        let expected = GAMMA[1] * (5.0 - mean) / (variance + EPSILON).sqrt() + BETA[1];
        assert!((y - expected).abs() < 1e-5, "{y} {expected}");
    }

    #[test]
    fn constant_channel_has_finite_gradients() {
        let x = tensor(&[3.0; 24]).require_grad();
        let loss = (normalised(&layer(), x.clone()) * tensor(&probe())).sum();
        let gradient = x.grad(&loss.backward()).unwrap().into_data();
        assert!(gradient.iter::<f64>().all(|g| g.is_finite()));
    }
}
