//! The arithmetic of a convolution, apart from its weights: shared by the layers, which autodiff can
//! record, and by the hand-written adjoints.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    ConvAlgorithm, Padding, dense_convolution as dense, depthwise_convolution as depthwise,
    im2col::WindowGeometry,
};

/// A convolution without weights, which are an argument of its methods. So it has no backend parameter.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct ConvKernel {
    /// Step between neighbouring outputs, in positions.
    pub(super) stride: usize,
    pub(super) padding: Padding,
    pub(in crate::model) algorithm: ConvAlgorithm,
    /// Whether every channel has its own filter: weights `[k, k, 1, C]`, otherwise `[k, k, C, O]`.
    pub(super) depthwise: bool,
}

impl ConvKernel {
    /// Convolves `x` `[N, H, W, C]` with `weight`: `[N, H', W', O]`.
    pub(in crate::model) fn forward<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let windows = self.windows(&x, &weight);
        match (self.algorithm, self.depthwise) {
            // A pointwise convolution is a matrix product with either algorithm.
            (ConvAlgorithm::Backend, false) if !windows.is_pointwise() => {
                windows.conv2d(x, weight, 1)
            }
            (_, false) => dense::forward(&windows, x, weight),
            (ConvAlgorithm::Backend, true) => {
                let channels = x.dims()[3];
                windows.conv2d(x, weight, channels)
            }
            (ConvAlgorithm::Im2col, true) => depthwise::forward(&windows, x, weight),
        }
    }

    /// The gradients of `x`, if `x_tracked`, and of `weight` from the gradient of the output. Always
    /// computed by [`ConvAlgorithm::Im2col`]; of the forward pass they need only `x`.
    pub(in crate::model) fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        output_gradient: Tensor<B, 4>,
        x_tracked: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let windows = self.windows(&x, &weight);
        match self.depthwise {
            false => dense::gradients(&windows, x, weight, output_gradient, x_tracked),
            true => depthwise::gradients(
                &windows,
                x,
                weight,
                output_gradient,
                x_tracked,
                self.algorithm,
            ),
        }
    }

    /// Returns the shape `[N, H', W', O]` of the output for an input and weights of these shapes.
    pub(in crate::model) fn output_shape(self, x: [usize; 4], weight: [usize; 4]) -> [usize; 4] {
        let windows = WindowGeometry::of_shape(x, weight[0], self.stride, self.padding);
        let [height, width] = windows.output_size();
        [x[0], height, width, weight[3]]
    }

    fn windows<B: Backend>(self, x: &Tensor<B, 4>, weight: &Tensor<B, 4>) -> WindowGeometry {
        WindowGeometry::new(x, weight.dims()[0], self.stride, self.padding)
    }
}
