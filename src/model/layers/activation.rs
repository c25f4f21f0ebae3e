//! Activation functions.

use burn::tensor::{Tensor, TensorPrimitive, activation::relu, backend::Backend};
use serde::{Deserialize, Serialize};

/// The value at which ReLU6 saturates (Krizhevsky 2010; MobileNetV2, Sandler et al. 2018).
const RELU6_CEILING: f32 = 6.0;

/// The function applied to each value of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Activation {
    /// max(x, 0); the slope at 0 is 0.
    #[default]
    Relu,
    /// min(max(x, 0), 6); the slope at 0 and at 6 is 0, as in PyTorch's `hardtanh`.
    Relu6,
    /// The identity.
    None,
}

impl Activation {
    /// Applies it to `x`.
    pub fn forward<B: Backend, const D: usize>(self, x: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::Relu => relu(x),
            Self::Relu6 => {
                // A clamp would pass gradients at exactly 6.
                let x = relu(x);
                let saturated = x.clone().greater_equal_elem(RELU6_CEILING);
                x.mask_fill(saturated, RELU6_CEILING)
            }
            Self::None => x,
        }
    }

    /// The gradient of the input, given the output and its gradient.
    pub(in crate::model) fn gradient<B: Backend, const D: usize>(
        self,
        output: Tensor<B, D>,
        output_gradient: Tensor<B, D>,
    ) -> Tensor<B, D> {
        match self {
            Self::Relu => relu_gradient(output, output_gradient),
            Self::Relu6 => {
                let saturated = output.clone().greater_equal_elem(RELU6_CEILING);
                relu_gradient(output, output_gradient).mask_fill(saturated, 0.0)
            }
            Self::None => output_gradient,
        }
    }
}

fn relu_gradient<B: Backend, const D: usize>(
    output: Tensor<B, D>,
    output_gradient: Tensor<B, D>,
) -> Tensor<B, D> {
    let primitive = |tensor: Tensor<B, D>| tensor.into_primitive().tensor();
    let gradient = B::relu_backward(primitive(output), primitive(output_gradient));
    Tensor::from_primitive(TensorPrimitive::Float(gradient))
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    #[test]
    fn relu6_clips_at_both_ends_with_slope_zero() {
        let x = [-1.0, 0.0, 0.5, 5.5, 6.0, 7.0];
        let x = Tensor::<AB, 1>::from_floats(x, &Default::default()).require_grad();
        let y = Activation::Relu6.forward(x.clone());
        let slopes = x.grad(&y.clone().sum().backward()).unwrap();
        let ones = y.clone().inner().ones_like();
        let own = Activation::Relu6.gradient(y.clone().inner(), ones);
        let values = |data: burn::tensor::TensorData| data.into_vec::<f32>().unwrap();
        assert_eq!(values(y.into_data()), [0.0, 0.0, 0.5, 5.5, 6.0, 6.0]);
        assert_eq!(values(slopes.into_data()), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(values(own.into_data()), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
}
