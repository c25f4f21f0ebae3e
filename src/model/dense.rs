//! A dense layer.

use burn::tensor::{Tensor, backend::Backend, module::linear};

use crate::kernels::{self, matmul};

/// The dense layer of `weight` `[features, units]` and `bias` `[units]`: `[N, features]` → `[N, units]`.
pub(super) fn dense<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Tensor<B, 1>,
) -> Tensor<B, 2> {
    match kernels::available_with_gradient::<B>() {
        true => matmul(x, weight) + bias.unsqueeze(),
        false => linear(x, weight, Some(bias)),
    }
}
