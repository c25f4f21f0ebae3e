//! A computation that is generic over the backend, and the device that it runs on.

use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};

use super::choice::BackendName;
use crate::data::{ImageUpload, UploadMode};
use crate::model::ConvAlgorithm;

/// A device, and how to compute on it.
///
/// Functions that create tensors or layers take a context, so that a run stays on one device.
#[derive(Debug, Clone)]
pub struct ComputeContext<B: Backend> {
    /// The device.
    pub device: B::Device,
    /// The algorithm of convolutions and pools: im2col on a processor, the backend's own kernels on
    /// a GPU.
    pub conv: ConvAlgorithm,
    /// Whether tensors are in the memory of this process.
    pub in_process: bool,
    /// How images are uploaded to the device.
    pub upload: UploadMode,
}

impl<B: Backend> ComputeContext<B> {
    /// Returns how images are uploaded to the device.
    pub fn image_upload(&self) -> ImageUpload<B> {
        ImageUpload {
            device: self.device.clone(),
            mode: self.upload,
        }
    }

    /// Returns the backend and the device, as the record of a run names them.
    pub fn name(&self) -> String {
        let device = &self.device;
        format!("{} {device:?}", B::name(device))
    }

    /// Returns the backend as `--backend` names it, and the device, for a message.
    pub(super) fn short_name(&self) -> String {
        let name = B::name(&self.device);
        let backends = BackendName::ALL.map(BackendName::as_str);
        let backend = backends.into_iter().find(|backend| name.contains(backend));
        match backend {
            Some(backend) => format!("{backend} {:?}", self.device),
            None => BackendName::Cpu.as_str().to_string(),
        }
    }
}

impl<B: AutodiffBackend> ComputeContext<B> {
    /// Returns the same device without automatic differentiation.
    pub fn without_gradients(&self) -> ComputeContext<B::InnerBackend> {
        ComputeContext {
            device: self.device.inner().clone(),
            conv: self.conv,
            in_process: self.in_process,
            upload: self.upload,
        }
    }
}

/// A computation that is generic over the backend.
///
/// A closure cannot be generic, so a task is a struct with the inputs of the computation. It runs
/// with automatic differentiation; [`ComputeContext::without_gradients`] is for inference.
///
/// # Example
///
/// ```
/// use burn::tensor::{ElementConversion, Tensor, backend::AutodiffBackend};
/// use loop_dml::backend::{self, BackendName, BackendTask, ComputeContext, DeviceChoice};
///
/// /// Sums numbers.
/// struct Sum(Vec<f32>);
///
/// impl BackendTask for Sum {
///     type Output = f32;
///
///     fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> f32 {
///         let numbers = Tensor::<B, 1>::from_floats(self.0.as_slice(), &compute.device);
///         numbers.sum().into_scalar().elem()
///     }
/// }
///
/// let choice = DeviceChoice {
///     backend: Some(BackendName::Cpu),
///     ..DeviceChoice::default()
/// };
/// let sum = backend::run(choice, Sum(vec![1.0, 2.0]))?;
/// assert_eq!(sum, 3.0);
/// # Ok::<(), backend::BackendError>(())
/// ```
pub trait BackendTask {
    /// The result of the computation.
    type Output;

    /// Runs the computation on the backend `B`.
    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output;
}
