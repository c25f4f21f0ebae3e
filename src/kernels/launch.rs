//! The way from tensors of any backend to those of CubeCL, and back.

use std::any::TypeId;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Whether kernels of this project run on the backend: on wgpu and CUDA without fusion.
pub fn available<B: Backend>() -> bool {
    let tensor = TypeId::of::<FloatTensor<B>>();
    let _ = tensor;
    #[cfg(feature = "wgpu")]
    if tensor == TypeId::of::<burn_cubecl::tensor::CubeTensor<burn_wgpu::WgpuRuntime>>() {
        return true;
    }
    #[cfg(feature = "cuda")]
    if tensor == TypeId::of::<burn_cubecl::tensor::CubeTensor<burn_cuda::CudaRuntime>>() {
        return true;
    }
    false
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) use cube::{Kernel, like, primitive, run, tensor};

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
        /// Launches them. The inputs are contiguous.
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
        let inputs = match inputs.downcast::<[CubeTensor<burn_cuda::CudaRuntime>; INPUTS]>() {
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
        kernel.launch(inputs.map(burn_cubecl::kernel::into_contiguous))
    }

    fn returned<B: Backend, R: CubeRuntime, const OUTPUTS: usize>(
        outputs: [CubeTensor<R>; OUTPUTS],
    ) -> Option<[FloatTensor<B>; OUTPUTS]> {
        let outputs: Box<dyn Any> = Box::new(outputs);
        outputs.downcast().ok().map(|outputs| *outputs)
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
}
