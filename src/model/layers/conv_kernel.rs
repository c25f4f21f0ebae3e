//! The arithmetic of a convolution, apart from its weights: shared by the layers, which autodiff can
//! record, and by the hand-written adjoints.

use burn::tensor::{
    DType, Tensor,
    backend::{Backend, DTypeUsage},
};

use crate::kernels;

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
    /// Convolves `x` `[N, H, W, C]` with `weight`: `[N, H', W', O]`. Factors and result are rounded to the number
    /// format of `x`; products are added in f32.
    pub(in crate::model) fn forward<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let precision = x.dtype();
        let windows = self.windows(&x, &weight);
        let weight = weight.cast(precision);
        let (x, weight) = match self.adds_in_f32(&windows, &x, weight.dims()) {
            true => (x, weight),
            false => (x.cast(DType::F32), weight.cast(DType::F32)),
        };
        let y = match (self.algorithm, self.depthwise) {
            // A pointwise convolution is a matrix product with either algorithm.
            (ConvAlgorithm::Backend, false) if !windows.is_pointwise() => {
                windows.conv2d(x, weight, 1)
            }
            (_, false) => dense::forward(&windows, x, weight),
            (ConvAlgorithm::Backend, true) => depthwise::forward_on_gpu(&windows, x, weight),
            (ConvAlgorithm::Im2col, true) => depthwise::forward(&windows, x, weight),
        };
        y.cast(precision)
    }

    /// The gradients of `x`, if `x_tracked`, and of `weight` from the gradient of the output; of the forward pass
    /// they need only `x`. The gradient of `x` has the number format of `x`, that of `weight` is f32. Products are
    /// added in f32.
    pub(in crate::model) fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        output_gradient: Tensor<B, 4>,
        x_tracked: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let precision = x.dtype();
        let windows = self.windows(&x, &weight);
        let computed = match self.adds_in_f32(&windows, &x, weight.dims()) {
            true => precision,
            false => DType::F32,
        };
        let weight = weight.cast(precision).cast(computed);
        let (x, output_gradient) = (x.cast(computed), output_gradient.cast(computed));
        let (x_gradient, weight_gradient) = match (self.algorithm, self.depthwise) {
            (ConvAlgorithm::Backend, false) if !windows.is_pointwise() => {
                windows.conv2d_gradients(x, weight, output_gradient, x_tracked, 1)
            }
            (_, false) => dense::gradients(&windows, x, weight, output_gradient, x_tracked),
            (ConvAlgorithm::Backend, true) => {
                depthwise::gradients_on_gpu(&windows, x, weight, output_gradient, x_tracked)
            }
            (ConvAlgorithm::Im2col, true) => {
                depthwise::gradients(&windows, x, weight, output_gradient, x_tracked)
            }
        };
        let x_gradient = x_gradient.map(|gradient| gradient.cast(precision));
        (x_gradient, weight_gradient.cast(DType::F32))
    }

    /// Whether the backend adds the products of `x` and weights of shape `[k, k, C, O]` in f32, forward and
    /// backward, if they have the number format of `x`.
    ///
    /// Matrix products do, and so do Burn 0.21's convolutions on matrix units, for which channels must fill
    /// vectors, and the depthwise kernels of this project. With a stride, the gradient of the input is a direct
    /// convolution. Burn's direct convolution, the only one on other
    /// devices, adds in the format of `x`, and the gradient of the weights is a sum over all positions of a batch
    /// (docs/burn-0.21.md). Processors have no arithmetic in other formats.
    fn adds_in_f32<B: Backend>(
        self,
        windows: &WindowGeometry,
        x: &Tensor<B, 4>,
        [.., channels_in, channels_out]: [usize; 4],
    ) -> bool {
        /// Numbers of 16 bits in the widest load of a GPU's thread.
        const VECTOR: usize = 8;
        if self.algorithm == ConvAlgorithm::Im2col {
            return false;
        }
        if self.depthwise {
            return kernels::available::<B>();
        }
        let matrix_units =
            || B::dtype_usage(&x.device(), x.dtype()).contains(DTypeUsage::Accelerated);
        let full_vectors = [channels_in, channels_out]
            .iter()
            .all(|c| c.is_multiple_of(VECTOR));
        windows.is_pointwise() || (self.stride == 1 && full_vectors && matrix_units())
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
