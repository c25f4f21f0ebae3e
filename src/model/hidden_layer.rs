//! The hidden layer of a head that is a multilayer perceptron.

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear},
    tensor::{Distribution, Tensor, activation::relu, backend::Backend},
};

use super::{dense::dense, layers::initial_weights::draw};

/// A dense layer with ReLU, `[N, features]` → `[N, units]`.
#[derive(Module, Debug)]
pub struct HiddenLayer<B: Backend> {
    /// The dense layer, weights `[features, units]`.
    pub linear: Linear<B>,
}

impl<B: Backend> HiddenLayer<B> {
    /// The layer with He's normal initialisation, N(0, 2 / features), and bias 0 (He et al. 2015, eq. 10).
    pub(super) fn new(features: usize, units: usize, device: &B::Device) -> Self {
        let deviation = (2.0 / features as f64).sqrt();
        let bias: Param<Tensor<B, 1>> = Initializer::Zeros.init([units], device);
        Self {
            linear: Linear {
                weight: draw(
                    [features, units],
                    Distribution::Normal(0.0, deviation),
                    device,
                ),
                bias: Some(bias),
            },
        }
    }

    pub(super) fn forward(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let bias = self.linear.bias.as_ref().expect("the layer has a bias");
        relu(dense(features, self.linear.weight.val(), bias.val()))
    }
}
