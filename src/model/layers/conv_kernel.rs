//! The arithmetic of a convolution, apart from its weights: shared by the layers, which autodiff can
//! record, and by the hand-written adjoints.

use burn::tensor::{
    DType, Tensor,
    backend::{Backend, DTypeUsage},
};

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
            (ConvAlgorithm::Backend, true) => {
                let channels = x.dims()[3];
                windows.conv2d(x, weight, channels)
            }
            (ConvAlgorithm::Im2col, true) => depthwise::forward(&windows, x, weight),
        };
        y.cast(precision)
    }

    /// The gradients of `x`, if `x_tracked`, and of `weight` from the gradient of the output. Always
    /// computed by [`ConvAlgorithm::Im2col`]; of the forward pass they need only `x`. The gradient of `x` has
    /// the number format of `x`, that of `weight` is f32.
    pub(in crate::model) fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        output_gradient: Tensor<B, 4>,
        x_tracked: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let precision = x.dtype();
        let weight = weight.cast(precision).cast(DType::F32);
        let (x, output_gradient) = (x.cast(DType::F32), output_gradient.cast(DType::F32));
        let windows = self.windows(&x, &weight);
        let (x_gradient, weight_gradient) = match self.depthwise {
            false => dense::gradients(&windows, x, weight, output_gradient, x_tracked),
            true => depthwise::gradients(
                &windows,
                x,
                weight,
                output_gradient,
                x_tracked,
                self.algorithm,
            ),
        };
        let x_gradient = x_gradient.map(|gradient| gradient.cast(precision));
        (x_gradient, weight_gradient)
    }

    /// Whether the backend adds the products of `x` and weights of shape `[k, k, C, O]` in f32, forward and
    /// backward, if they have the number format of `x`.
    ///
    /// Matrix products do, and so do Burn 0.21's convolutions on matrix units, for which channels must fill
    /// vectors. Burn's direct convolution, the only one on other devices and for separate kernels, adds in the
    /// format of `x`, and the gradient of the weights is a sum over all positions of a batch
    /// (docs/burn-0.21.md). Processors have no arithmetic in other formats.
    fn adds_in_f32<B: Backend>(
        self,
        windows: &WindowGeometry,
        x: &Tensor<B, 4>,
        [.., channels_in, channels_out]: [usize; 4],
    ) -> bool {
        /// Numbers of 16 bits in the widest load of a GPU's thread.
        const VECTOR: usize = 8;
        let dense_on_gpu = self.algorithm == ConvAlgorithm::Backend && !self.depthwise;
        let matrix_units =
            || B::dtype_usage(&x.device(), x.dtype()).contains(DTypeUsage::Accelerated);
        let full_vectors = [channels_in, channels_out]
            .iter()
            .all(|c| c.is_multiple_of(VECTOR));
        dense_on_gpu && (windows.is_pointwise() || (full_vectors && matrix_units()))
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
