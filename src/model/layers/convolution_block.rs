//! Convolution, batch norm and activation: with ReLU, torchvision's `BasicConv2d`.

use burn::{
    config::Config,
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{Activation, BatchNorm, BatchNormConfig, Convolution, ConvolutionConfig};

/// Configuration of a [`ConvolutionBlock`].
#[derive(Config, Debug)]
pub struct ConvolutionBlockConfig {
    /// The convolution.
    pub convolution: ConvolutionConfig,
    /// ε of the batch norm.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics of the batch norm, 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
    /// The activation after the batch norm.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// Whether the batch norm uses its running statistics in training too.
    #[config(default = false)]
    pub freeze_batch_norm: bool,
}

/// Convolution, batch norm and activation, `[N, H, W, C_in]` → `[N, H', W', C_out]`.
#[derive(Module, Debug)]
pub struct ConvolutionBlock<B: Backend> {
    /// The convolution.
    pub conv: Convolution<B>,
    /// The batch norm.
    pub bn: BatchNorm<B>,
    #[module(skip)]
    pub(in crate::model) activation: Activation,
}

impl ConvolutionBlockConfig {
    /// The block with the default initialisation of its layers.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ConvolutionBlock<B> {
        ConvolutionBlock {
            conv: self.convolution.init(device),
            bn: BatchNormConfig::new(self.convolution.channels_out)
                .with_epsilon(self.epsilon)
                .with_momentum(self.momentum)
                .with_frozen(self.freeze_batch_norm)
                .init(device),
            activation: self.activation,
        }
    }
}

impl<B: Backend> ConvolutionBlock<B> {
    /// Applies the block. In training it uses the batch's statistics. Otherwise, or if the batch norm
    /// is frozen, the running statistics are folded into the convolution's weights; the gradients of
    /// the weights, γ and β are the same as without folding.
    ///
    /// The convolution and the activation are computed in the number format of `x`, the batch norm in f32.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C_in]`
    /// - output: `[N, H', W', C_out]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation.forward(self.normalised(x, true))
    }

    /// Applies the block to a batch that the running statistics already include.
    pub(in crate::model) fn recompute(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation.forward(self.normalised(x, false))
    }

    fn normalised(&self, x: Tensor<B, 4>, update_statistics: bool) -> Tensor<B, 4> {
        match self.bn.uses_batch(&x.device()) {
            true => self.bn.normalised(
                self.conv.forward(x),
                self.conv.kernel().algorithm,
                update_statistics,
            ),
            false => {
                let (factor, offset) = self.bn.inference_affine();
                let y = self.conv.forward_scaled(x, factor);
                let offset = offset.cast(y.dtype());
                y + offset.unsqueeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        module::{Param, RunningState},
        tensor::TensorData,
    };

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    const EPSILON: f64 = 1e-3;
    const CHANNELS: usize = 2;
    const POSITIONS: usize = 12;

    /// x `[1, 3, 4, 2]`, W `[1, 1, 2, 2]`, γ, β: everything with a gradient.
    type Inputs = [Vec<f64>; 4];

    const MEAN: [f64; CHANNELS] = [0.3, -0.2];
    const VARIANCE: [f64; CHANNELS] = [0.5, 2.0];

    fn inputs() -> Inputs {
        let wave = |count: usize, frequency: f64| {
            (0..count).map(move |i| (i as f64 * frequency + 0.4).sin())
        };
        [
            wave(POSITIONS * CHANNELS, 1.3).collect(),
            vec![0.7, -0.4, 0.2, 0.9],
            vec![1.5, -0.7],
            vec![0.2, 0.4],
        ]
    }

    fn probe(i: usize) -> f64 {
        (i as f64 * 0.9).cos()
    }

    /// The block with plain loops: ReLU(γ (W x − μ) / √(σ² + ε) + β).
    fn expected([x, weight, gamma, beta]: &Inputs) -> Vec<f64> {
        let output = |i: usize| {
            let (row, c) = (i / CHANNELS * CHANNELS, i % CHANNELS);
            let sum = |k| x[row + k] * weight[k * CHANNELS + c];
            let convolved: f64 = (0..CHANNELS).map(sum).sum();
            let normalised = (convolved - MEAN[c]) / (VARIANCE[c] + EPSILON).sqrt();
            (gamma[c] * normalised + beta[c]).max(0.0)
        };
        (0..x.len()).map(output).collect()
    }

    fn probed(inputs: &Inputs) -> f64 {
        let outputs = expected(inputs).into_iter().enumerate();
        outputs.map(|(i, y)| y * probe(i)).sum()
    }

    fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<AB, D> {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    fn frozen_block([_, weight, gamma, beta]: &Inputs) -> ConvolutionBlock<AB> {
        let convolution = ConvolutionConfig::new(CHANNELS, CHANNELS, 1);
        let mut block = ConvolutionBlockConfig::new(convolution)
            .with_epsilon(EPSILON)
            .with_freeze_batch_norm(true)
            .init(&Default::default());
        block.conv.weight = Param::from_tensor(tensor(weight, [1, 1, CHANNELS, CHANNELS]));
        block.bn.weight = Param::from_tensor(tensor(gamma, [CHANNELS]));
        block.bn.bias = Param::from_tensor(tensor(beta, [CHANNELS]));
        block.bn.running_mean = RunningState::new(tensor(&MEAN, [CHANNELS]));
        block.bn.running_var = RunningState::new(tensor(&VARIANCE, [CHANNELS]));
        block
    }

    #[test]
    fn gradients_of_a_frozen_block_equal_finite_differences_of_the_formula() {
        /// In double precision, and too small to cross a kink of the ReLU.
        const STEP: f64 = 1e-6;
        /// Single precision: sums of 12 terms of size 1.
        const TOLERANCE: f64 = 1e-5;

        let inputs = inputs();
        let block = frozen_block(&inputs);
        let x = tensor(&inputs[0], [1, 3, 4, CHANNELS]).require_grad();
        let y = block.forward(x.clone());
        let found: Vec<f64> = y.clone().into_data().iter().collect();
        for (found, expected) in found.iter().zip(expected(&inputs)) {
            assert!((found - expected).abs() < TOLERANCE);
        }

        let probes: Vec<f64> = (0..inputs[0].len()).map(probe).collect();
        let gradients = (y * tensor(&probes, [1, 3, 4, CHANNELS])).sum().backward();
        let found = [
            x.grad(&gradients).unwrap().into_data(),
            block.conv.weight.grad(&gradients).unwrap().into_data(),
            block.bn.weight.grad(&gradients).unwrap().into_data(),
            block.bn.bias.grad(&gradients).unwrap().into_data(),
        ];
        for (which, found) in found.into_iter().enumerate() {
            for (i, found) in found.iter::<f64>().enumerate() {
                let moved = |by: f64| {
                    let mut inputs = inputs.clone();
                    inputs[which][i] += by;
                    probed(&inputs)
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (found - slope).abs() < TOLERANCE,
                    "{which} {i}: {found} {slope}"
                );
            }
        }
    }

    #[test]
    fn forward_passes_keep_the_statistics_of_a_frozen_block() {
        let inputs = inputs();
        let block = frozen_block(&inputs);
        for _ in 0..2 {
            block.forward(tensor(&inputs[0], [1, 3, 4, CHANNELS]));
        }
        let found = [&block.bn.running_mean, &block.bn.running_var]
            .map(|state| state.value_sync().into_data().into_vec::<f32>().unwrap());
        assert_eq!(
            found,
            [MEAN, VARIANCE].map(|v| v.map(|x| x as f32).to_vec())
        );
    }
}
