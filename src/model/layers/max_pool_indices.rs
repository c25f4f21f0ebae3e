//! Max pooling by Burn's kernels, with the index of each maximum.

use burn::tensor::{
    DType, Tensor, TensorPrimitive,
    backend::Backend,
    ops::{FloatTensor, IntTensor},
};

use super::MaxPool;

/// The index of the maximum in each window of a max pool, as Burn numbers them.
pub(in crate::model) struct WindowIndices<B: Backend> {
    pool: MaxPool,
    x: Tensor<B, 4>,
    indices: IntTensor<B>,
}

impl<B: Backend> WindowIndices<B> {
    /// The maxima of `x` `[N, H, W, C]`, `[N, H', W', C]`, and their indices.
    pub(super) fn forward(pool: MaxPool, x: Tensor<B, 4>) -> (Tensor<B, 4>, Self) {
        let pooled = B::max_pool2d_with_indices(
            channels_first(x.clone()),
            [pool.kernel_size; 2],
            [pool.stride; 2],
            [pool.padding; 2],
            [1; 2],
            pool.ceil_mode,
        );
        let indices = Self {
            pool,
            x,
            indices: pooled.indices,
        };
        (channels_last(pooled.output), indices)
    }

    /// The gradient of the pool's input from the gradient of its output, both in f32.
    pub(super) fn gradient(self, output_gradient: Tensor<B, 4>) -> Tensor<B, 4> {
        let Self { pool, x, indices } = self;
        let gradient = B::max_pool2d_with_indices_backward(
            // Only its shape and number format are read.
            channels_first(x.cast(DType::F32)),
            [pool.kernel_size; 2],
            [pool.stride; 2],
            [pool.padding; 2],
            [1; 2],
            pool.ceil_mode,
            channels_first(output_gradient),
            indices,
        );
        channels_last(gradient.x_grad)
    }
}

fn channels_first<B: Backend>(map: Tensor<B, 4>) -> FloatTensor<B> {
    map.permute([0, 3, 1, 2]).into_primitive().tensor()
}

fn channels_last<B: Backend>(map: FloatTensor<B>) -> Tensor<B, 4> {
    Tensor::from_primitive(TensorPrimitive::Float(map)).permute([0, 2, 3, 1])
}
