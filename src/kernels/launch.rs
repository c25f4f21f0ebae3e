//! Conversions between tensors of any backend and those of CubeCL.

use std::any::TypeId;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// wgpu without fusion.
#[cfg(feature = "wgpu")]
pub(super) type Wgpu = burn_cubecl::CubeBackend<burn_wgpu::WgpuRuntime, f32, i32, u32>;
/// CUDA without fusion.
#[cfg(feature = "cuda")]
pub(super) type Cuda =
    burn_cubecl::CubeBackend<burn_cubecl::cubecl::cuda::CudaRuntime, f32, i32, u8>;

/// Whether kernels of this project run on the backend: on wgpu and CUDA without fusion.
pub fn available<B: Backend>() -> bool {
    let tensor = TypeId::of::<FloatTensor<B>>();
    let _ = tensor;
    #[cfg(feature = "wgpu")]
    if tensor == TypeId::of::<FloatTensor<Wgpu>>() {
        return true;
    }
    #[cfg(feature = "cuda")]
    if tensor == TypeId::of::<FloatTensor<Cuda>>() {
        return true;
    }
    false
}

/// Whether kernels of this project run on the backend, or on the backend below its automatic differentiation.
pub fn available_with_gradient<B: Backend>() -> bool {
    let tensor = TypeId::of::<FloatTensor<B>>();
    let _ = tensor;
    #[cfg(feature = "wgpu")]
    if tensor == TypeId::of::<FloatTensor<burn::backend::Autodiff<Wgpu>>>() {
        return true;
    }
    #[cfg(feature = "cuda")]
    if tensor == TypeId::of::<FloatTensor<burn::backend::Autodiff<Cuda>>>() {
        return true;
    }
    available::<B>()
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) use cube::{Kernel, Rows, like, primitive, run, tensor};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use std::any::Any;

    use burn::tensor::{DType, Shape, Tensor, TensorPrimitive, backend::Backend, ops::FloatTensor};
    use burn_cubecl::CubeRuntime;
    use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
    use burn_cubecl::tensor::CubeTensor;

    /// A tensor of any rank, as kernels take it.
    pub(in crate::kernels) fn primitive<B: Backend, const D: usize>(
        tensor: Tensor<B, D>,
    ) -> FloatTensor<B> {
        tensor.into_primitive().tensor()
    }

    /// The inverse of [`primitive`].
    pub(in crate::kernels) fn tensor<B: Backend, const D: usize>(
        primitive: FloatTensor<B>,
    ) -> Tensor<B, D> {
        Tensor::from_primitive(TensorPrimitive::Float(primitive))
    }

    /// Launches of kernels on `INPUTS` tensors that result in `OUTPUTS` tensors.
    pub(in crate::kernels) trait Kernel<const INPUTS: usize, const OUTPUTS: usize> {
        /// Launches them. Inputs may have any strides.
        fn launch<R: CubeRuntime>(
            self,
            inputs: [CubeTensor<R>; INPUTS],
        ) -> [CubeTensor<R>; OUTPUTS];
    }

    /// Launches `kernel` on the backend's device, or returns `None` if
    /// [no kernel is available](super::available).
    pub(in crate::kernels) fn run<B: Backend, const INPUTS: usize, const OUTPUTS: usize>(
        inputs: [FloatTensor<B>; INPUTS],
        kernel: impl Kernel<INPUTS, OUTPUTS>,
    ) -> Option<[FloatTensor<B>; OUTPUTS]> {
        let inputs: Box<dyn Any> = Box::new(inputs);
        #[cfg(feature = "wgpu")]
        let inputs = match inputs.downcast::<[CubeTensor<burn_wgpu::WgpuRuntime>; INPUTS]>() {
            Ok(inputs) => return returned::<B, _, OUTPUTS>(launch(*inputs, kernel)),
            Err(inputs) => inputs,
        };
        #[cfg(feature = "cuda")]
        let inputs = match inputs
            .downcast::<[CubeTensor<burn_cubecl::cubecl::cuda::CudaRuntime>; INPUTS]>()
        {
            Ok(inputs) => return returned::<B, _, OUTPUTS>(launch(*inputs, kernel)),
            Err(inputs) => inputs,
        };
        drop(inputs);
        None
    }

    fn launch<R: CubeRuntime, const INPUTS: usize, const OUTPUTS: usize>(
        inputs: [CubeTensor<R>; INPUTS],
        kernel: impl Kernel<INPUTS, OUTPUTS>,
    ) -> [CubeTensor<R>; OUTPUTS] {
        kernel.launch(inputs)
    }

    fn returned<B: Backend, R: CubeRuntime, const OUTPUTS: usize>(
        outputs: [CubeTensor<R>; OUTPUTS],
    ) -> Option<[FloatTensor<B>; OUTPUTS]> {
        let outputs: Box<dyn Any> = Box::new(outputs);
        outputs.downcast().ok().map(|outputs| *outputs)
    }

    /// A map `[N, H, W, C]` whose rows of C numbers are a fixed distance apart.
    pub(in crate::kernels) struct Rows<R: CubeRuntime> {
        pub(in crate::kernels) map: CubeTensor<R>,
        /// The distance between the starts of neighbouring rows, in vectors.
        pub(in crate::kernels) stride: usize,
    }

    impl<R: CubeRuntime> Rows<R> {
        /// The rows of `map`, for kernels that read `vector` numbers at once. CUDA aligns rows, and a part of
        /// the channels is a view of the map; others are copied.
        pub(in crate::kernels) fn new(map: CubeTensor<R>, vector: usize) -> Self {
            let shape: [usize; 4] = map.meta.shape().dims();
            let strides = map.meta.strides();
            let stride = row_stride(shape, [strides[0], strides[1], strides[2], strides[3]]);
            match stride.filter(|stride| stride.is_multiple_of(vector)) {
                Some(stride) => Self {
                    map,
                    stride: stride / vector,
                },
                None => Self {
                    map: burn_cubecl::kernel::into_contiguous(map),
                    stride: shape[3] / vector,
                },
            }
        }
    }

    /// The distance between the starts of neighbouring rows of a map of this shape, if it is the same between
    /// all of them.
    fn row_stride([n, h, w, c]: [usize; 4], strides: [usize; 4]) -> Option<usize> {
        // An axis of length 1 can have any stride.
        let between = [
            (w, strides[2], 1),
            (h, strides[1], w),
            (n, strides[0], h * w),
        ];
        let between = between.into_iter().filter(|&(length, ..)| length > 1);
        let mut distances = between.map(|(_, stride, rows)| (stride, rows));
        let rows_are_contiguous = c == 1 || strides[3] == 1;
        let Some((first, rows)) = distances.next() else {
            return rows_are_contiguous.then_some(c);
        };
        let stride = first / rows;
        let equal = first.is_multiple_of(rows)
            && distances.all(|(distance, rows)| distance == stride * rows);
        (equal && rows_are_contiguous && stride >= c).then_some(stride)
    }

    /// An uninitialised contiguous tensor on the device of `tensor`.
    pub(in crate::kernels) fn like<R: CubeRuntime>(
        tensor: &CubeTensor<R>,
        shape: impl Into<Shape>,
        dtype: DType,
    ) -> CubeTensor<R> {
        let (client, device) = (tensor.client.clone(), tensor.device.clone());
        empty_device_contiguous_dtype(client, device, shape.into(), dtype)
    }

    #[cfg(test)]
    mod tests {
        use super::row_stride;

        #[test]
        fn rows_may_be_apart_by_one_distance() {
            for (shape, strides, expected) in [
                ([2, 3, 4, 5], [60, 20, 5, 1], Some(5)),
                // Aligned to 8 numbers.
                ([2, 3, 4, 5], [96, 32, 8, 1], Some(8)),
                // Only every second image.
                ([2, 3, 4, 5], [120, 20, 5, 1], None),
                // Channels first.
                ([2, 3, 4, 5], [60, 4, 1, 12], None),
                // Broadcast.
                ([2, 3, 4, 5], [0, 20, 5, 1], None),
                ([2, 1, 1, 5], [8, 77, 99, 1], Some(8)),
                ([1, 3, 1, 5], [1, 8, 99, 1], Some(8)),
                ([1, 1, 1, 5], [1, 1, 1, 1], Some(5)),
                ([1, 1, 1, 5], [1, 1, 1, 2], None),
                ([2, 2, 2, 1], [4, 2, 1, 9], Some(1)),
            ] {
                assert_eq!(
                    row_stride(shape, strides),
                    expected,
                    "{shape:?} {strides:?}"
                );
            }
        }
    }
}
