//! The backends: the only module that names concrete ones.
//!
//! [`prepare`] checks that a backend can start, with one clear error where it cannot, and sets the
//! cache of its kernels; [`Prepared::run`] computes on it. [`report()`] examines all backends.
//!
//! `--device` counts: on `cuda` as the driver does, on `wgpu` discrete GPUs first, then integrated,
//! virtual and other ones, and a software driver last; on `cpu` there is only 0.

#[cfg(feature = "wgpu")]
mod adapters;
mod cuda;
mod error;
mod kernel_cache;
mod probe;
#[cfg(feature = "cpu")]
mod processor;
mod report;

use std::fmt;

use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};
use clap::ValueEnum;

use crate::model::ConvAlgorithm;

pub use cuda::{CudaEnvironment, CudaError, cuda_environment};
pub use error::BackendError;
pub use kernel_cache::KernelCache;
pub use report::{BackendReport, DeviceInfo, DeviceReport, ProbeResult, report};

/// wgpu without fusion; `burn_wgpu::Wgpu` fuses where any crate enables the feature.
#[cfg(feature = "wgpu")]
pub type Wgpu = burn_wgpu::CubeBackend<burn_wgpu::WgpuRuntime, f32, i32, u32>;

/// CUDA without fusion, likewise.
#[cfg(feature = "cuda")]
pub type Cuda = burn_cubecl::CubeBackend<burn_cubecl::cubecl::cuda::CudaRuntime, f32, i32, u8>;

/// wgpu with fusion.
#[cfg(all(feature = "wgpu", feature = "fusion"))]
pub type FusedWgpu = burn_wgpu::Wgpu;

/// CUDA with fusion.
#[cfg(all(feature = "cuda", feature = "fusion"))]
pub type FusedCuda = burn_cuda::Cuda;

/// The processor.
#[cfg(feature = "cpu")]
pub type Cpu = burn_flex::Flex;

/// A backend by its name on the command line, the preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// NVIDIA GPUs.
    Cuda,
    /// GPUs through Vulkan, Metal or DirectX.
    Wgpu,
    /// The processor, with Burn's Flex.
    Cpu,
}

impl BackendName {
    /// All backends, the preferred first.
    pub const ALL: [Self; 3] = [Self::Cuda, Self::Wgpu, Self::Cpu];

    /// The backends compiled into this binary, the preferred first.
    pub fn built() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|name| match name {
                Self::Cuda => cfg!(feature = "cuda"),
                Self::Wgpu => cfg!(feature = "wgpu"),
                Self::Cpu => cfg!(feature = "cpu"),
            })
            .collect()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where to compute, and what is quick there.
#[derive(Debug, Clone)]
pub struct ComputeContext<B: Backend> {
    /// The device.
    pub device: B::Device,
    /// How convolutions and pools are computed: as products of rows on a processor, by Burn's own
    /// kernels on a GPU.
    pub conv: ConvAlgorithm,
    /// Whether the backend computes in the memory of this process.
    pub in_process: bool,
}

impl<B: AutodiffBackend> ComputeContext<B> {
    /// The same place without automatic differentiation.
    pub fn without_gradients(&self) -> ComputeContext<B::InnerBackend> {
        ComputeContext {
            device: self.device.inner().clone(),
            conv: self.conv,
            in_process: self.in_process,
        }
    }
}

/// A computation that is generic over the backend.
pub trait BackendTask {
    /// What it gives.
    type Output;

    /// Runs on the backend `B`.
    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output;
}

/// The backend and device asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceChoice {
    /// The backend; the preferred one of those compiled in if none is named.
    pub backend: Option<BackendName>,
    /// Number of the backend's device, from 0, as `loop-dml devices` lists them.
    pub index: usize,
    /// Whether a GPU backend fuses chains of operations into kernels. Burn 0.21's fusion has bugs
    /// (`docs/burn-0.21.md`), so this is off unless asked for.
    pub fusion: bool,
}

impl DeviceChoice {
    /// The backend asked for, or the preferred one.
    ///
    /// # Errors
    ///
    /// When it, or fusion, is not compiled in.
    pub fn backend(&self) -> Result<BackendName, BackendError> {
        let built = BackendName::built();
        let chosen = self.backend.or(built.first().copied());
        let chosen = chosen.unwrap_or(BackendName::Cpu);
        if !built.contains(&chosen) {
            let names: Vec<&str> = built.iter().map(|name| name.as_str()).collect();
            return Err(BackendError::NotBuilt {
                asked: chosen.as_str(),
                built: match names.is_empty() {
                    true => "none".to_string(),
                    false => names.join(", "),
                },
            });
        }
        if self.fusion && (chosen == BackendName::Cpu || cfg!(not(feature = "fusion"))) {
            return Err(BackendError::NoFusion {
                backend: chosen.as_str(),
            });
        }
        Ok(chosen)
    }
}

/// Why wgpu has no device.
#[cfg(feature = "wgpu")]
const NO_ADAPTER: &str = "no graphics driver with Vulkan, Metal or DirectX is found; install one, such \
                          as Debian's mesa-vulkan-drivers";

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

/// Checks that the chosen backend can start, and sets the cache of its kernels.
///
/// # Errors
///
/// When the backend or fusion is not compiled in, what the backend needs is not on this machine, it
/// has no such device, or the user's settings of the cache are malformed.
pub fn prepare(choice: DeviceChoice) -> Result<Prepared, BackendError> {
    let name = choice.backend()?;
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
    let (device, nvrtc) = cuda::check_device(index)?;
    let kernels = kernel_cache::open(&format!("cuda-{device}-nvrtc-{nvrtc}"), true)?;
    Ok((Target::Cuda { index }, kernels))
}

#[cfg(feature = "wgpu")]
fn prepare_wgpu(index: usize) -> Result<(Target, Option<KernelCache>), BackendError> {
    let refuse = |reason| no_device(BackendName::Wgpu, index, reason);
    let adapters = adapters::adapters().map_err(|text| refuse(probe::first_line(&text)))?;
    let Some(adapter) = adapters.get(index) else {
        return Err(refuse(match adapters.len() {
            0 => NO_ADAPTER.to_string(),
            1 => "the only device is 0".to_string(),
            count => format!("there are {count} devices, from 0"),
        }));
    };
    let kernels = kernel_cache::open(&format!("wgpu-{}", adapter.name()), false)?;
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
    /// Where the device's kernels are kept; `None` on the processor, or without a folder for them.
    pub fn kernel_cache(&self) -> Option<&KernelCache> {
        self.kernel_cache.as_ref()
    }

    /// Runs `task` on the backend.
    ///
    /// # Errors
    ///
    /// When a first small computation fails.
    pub fn run<J: BackendTask>(self, task: J) -> Result<J::Output, BackendError> {
        match self.target {
            #[cfg(feature = "cuda")]
            Target::Cuda { index } => {
                let device = burn_cuda::CudaDevice::new(index);
                #[cfg(feature = "fusion")]
                if self.fusion {
                    return on_gpu::<FusedCuda, J>(BackendName::Cuda, index, device, task);
                }
                on_gpu::<Cuda, J>(BackendName::Cuda, index, device, task)
            }
            #[cfg(feature = "wgpu")]
            Target::Wgpu { index, device } => {
                #[cfg(feature = "fusion")]
                if self.fusion {
                    return on_gpu::<FusedWgpu, J>(BackendName::Wgpu, index, device, task);
                }
                on_gpu::<Wgpu, J>(BackendName::Wgpu, index, device, task)
            }
            #[cfg(feature = "cpu")]
            Target::Cpu => Ok(task.run::<burn::backend::Autodiff<Cpu>>(ComputeContext {
                device: burn_flex::FlexDevice,
                conv: ConvAlgorithm::Im2col,
                in_process: true,
            })),
        }
    }
}

/// Runs `task` on the chosen backend.
///
/// # Errors
///
/// Those of [`prepare`] and [`Prepared::run`].
pub fn run<J: BackendTask>(choice: DeviceChoice, task: J) -> Result<J::Output, BackendError> {
    prepare(choice)?.run(task)
}

/// Runs `task` on a GPU backend with automatic differentiation, once a first small computation shows
/// that the device works: a driver that fails panics, far from anything a user could read.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn on_gpu<B: Backend, J: BackendTask>(
    name: BackendName,
    index: usize,
    device: B::Device,
    task: J,
) -> Result<J::Output, BackendError> {
    if let Err(text) = probe::first_computation::<B>(&device) {
        #[cfg(feature = "cuda")]
        if name == BackendName::Cuda
            && let Some(error) = CudaError::from_panic(&text, index)
        {
            return Err(error.into());
        }
        return Err(no_device(name, index, probe::first_line(&text)));
    }
    Ok(task.run::<burn::backend::Autodiff<B>>(ComputeContext {
        device,
        conv: ConvAlgorithm::Backend,
        in_process: false,
    }))
}
