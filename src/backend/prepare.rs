//! Starts a backend and runs a task on it.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::backend::Backend;

use super::choice::{BackendName, DeviceChoice};
use super::concrete;
use super::error::BackendError;
use super::kernel_cache::KernelCache;
use super::task::{BackendTask, ComputeContext};
use crate::data::UploadMode;
use crate::kernels::{self, Arithmetic};
use crate::model::ConvAlgorithm;

/// A backend that can start, and its device.
#[derive(Debug, Clone)]
pub struct Prepared {
    target: Target,
    #[cfg(feature = "fusion")]
    fusion: bool,
    kernel_cache: Option<KernelCache>,
}

#[derive(Debug, Clone)]
enum Target {
    #[cfg(feature = "cuda")]
    Cuda { index: usize },
    #[cfg(feature = "wgpu")]
    Wgpu {
        index: usize,
        device: burn_wgpu::WgpuDevice,
    },
    #[cfg(feature = "cpu")]
    Cpu,
}

/// Returns the number of devices of a backend; 0 if they cannot be listed, or the backend is not compiled in.
pub fn device_count(name: BackendName) -> usize {
    match name {
        #[cfg(feature = "cuda")]
        BackendName::Cuda => super::cuda::device_count().unwrap_or(0),
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => super::adapters::adapters().map_or(0, |adapters| adapters.len()),
        #[cfg(feature = "cpu")]
        BackendName::Cpu => 1,
        #[allow(
            unreachable_patterns,
            reason = "every name is matched above if every backend is compiled in"
        )]
        _ => 0,
    }
}

/// Checks that the chosen backend can start, and sets the cache of its kernels.
///
/// # Errors
///
/// If the backend or fusion is not compiled in, if the machine lacks something that the backend
/// needs, if the device does not exist, or if the user's settings of the cache are malformed.
pub fn prepare(choice: DeviceChoice) -> Result<Prepared, BackendError> {
    let name = choice.backend()?;
    kernels::set_arithmetic(match choice.autotune {
        true => Arithmetic::Autotuned,
        false => Arithmetic::default(),
    });
    let (target, kernel_cache) = match name {
        #[cfg(feature = "cuda")]
        BackendName::Cuda => prepare_cuda(choice.index)?,
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => prepare_wgpu(choice.index)?,
        #[cfg(feature = "cpu")]
        BackendName::Cpu if choice.index == 0 => (Target::Cpu, None),
        _ => {
            let reason = "the processor is device 0".to_string();
            return Err(no_device(name, choice.index, reason));
        }
    };
    Ok(Prepared {
        target,
        #[cfg(feature = "fusion")]
        fusion: choice.fusion,
        kernel_cache,
    })
}

#[cfg(feature = "cuda")]
fn prepare_cuda(index: usize) -> Result<(Target, Option<KernelCache>), BackendError> {
    let (device, nvrtc) = super::cuda::check_device(index)?;
    let kernels = super::kernel_cache::open(&format!("cuda-{device}-nvrtc-{nvrtc}"), true)?;
    Ok((Target::Cuda { index }, kernels))
}

#[cfg(feature = "wgpu")]
fn prepare_wgpu(index: usize) -> Result<(Target, Option<KernelCache>), BackendError> {
    use super::adapters::{NO_ADAPTER, adapters};
    use super::probe::first_line;

    let refuse = |reason| no_device(BackendName::Wgpu, index, reason);
    let adapters = adapters().map_err(|text| refuse(first_line(&text)))?;
    let Some(adapter) = adapters.get(index) else {
        return Err(refuse(match adapters.len() {
            0 => NO_ADAPTER.to_string(),
            1 => "the only device is 0".to_string(),
            count => format!("there are {count} devices, from 0"),
        }));
    };
    let kernels = super::kernel_cache::open(&format!("wgpu-{}", adapter.name()), false)?;
    let device = adapter.device.clone();
    Ok((Target::Wgpu { index, device }, kernels))
}

fn no_device(name: BackendName, index: usize, reason: String) -> BackendError {
    BackendError::Device {
        backend: name.as_str(),
        index,
        reason,
    }
}

impl Prepared {
    /// Returns the cache of the device's kernels; `None` on the processor, or if the user has no
    /// cache folder.
    pub fn kernel_cache(&self) -> Option<&KernelCache> {
        self.kernel_cache.as_ref()
    }

    /// Runs `task` on the backend, with automatic differentiation.
    ///
    /// # Errors
    ///
    /// If a first small computation on the device fails.
    pub fn run<T: BackendTask>(self, task: T) -> Result<T::Output, BackendError> {
        match self.target {
            #[cfg(feature = "cuda")]
            Target::Cuda { index } => {
                let device = burn_cuda::CudaDevice::new(index);
                #[cfg(feature = "fusion")]
                if self.fusion {
                    return on_gpu::<concrete::FusedCuda, T>(
                        BackendName::Cuda,
                        index,
                        device,
                        UploadMode::Bytes,
                        task,
                    );
                }
                let upload = UploadMode::BytesAhead;
                on_gpu::<concrete::Cuda, T>(BackendName::Cuda, index, device, upload, task)
            }
            #[cfg(feature = "wgpu")]
            Target::Wgpu { index, device } => {
                #[cfg(feature = "fusion")]
                if self.fusion {
                    return on_gpu::<concrete::FusedWgpu, T>(
                        BackendName::Wgpu,
                        index,
                        device,
                        UploadMode::Bytes,
                        task,
                    );
                }
                let upload = UploadMode::BytesAhead;
                on_gpu::<concrete::Wgpu, T>(BackendName::Wgpu, index, device, upload, task)
            }
            #[cfg(feature = "cpu")]
            Target::Cpu => Ok(
                task.run::<burn::backend::Autodiff<concrete::Cpu>>(ComputeContext {
                    device: burn_flex::FlexDevice,
                    conv: ConvAlgorithm::Im2col,
                    in_process: true,
                    upload: UploadMode::Normalized,
                }),
            ),
        }
    }
}

/// Prepares the chosen backend and runs `task` on it.
///
/// # Errors
///
/// Those of [`prepare`] and [`Prepared::run`].
pub fn run<T: BackendTask>(choice: DeviceChoice, task: T) -> Result<T::Output, BackendError> {
    prepare(choice)?.run(task)
}

/// Runs `task` on a GPU backend with automatic differentiation. A first small computation tests the
/// device: if a driver fails later, it panics in another thread, with a text that users cannot read.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn on_gpu<B: Backend, T: BackendTask>(
    name: BackendName,
    index: usize,
    device: B::Device,
    upload: UploadMode,
    task: T,
) -> Result<T::Output, BackendError> {
    use super::probe::{first_computation, first_line};

    if let Err(text) = first_computation::<B>(&device) {
        #[cfg(feature = "cuda")]
        if name == BackendName::Cuda
            && let Some(error) = super::cuda::error_from_panic(&text, index)
        {
            return Err(error.into());
        }
        return Err(no_device(name, index, first_line(&text)));
    }
    Ok(task.run::<burn::backend::Autodiff<B>>(ComputeContext {
        device,
        conv: ConvAlgorithm::Backend,
        in_process: false,
        upload,
    }))
}
