//! The backends: the only file that names concrete ones.

use std::fmt;

use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};
use clap::ValueEnum;

use crate::error::Error;
use crate::model::ComputePath;

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
    /// The backends compiled into this binary, the preferred first.
    pub fn built() -> Vec<Self> {
        [Self::Cuda, Self::Wgpu, Self::Cpu]
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
pub struct Place<B: Backend> {
    /// The device.
    pub device: B::Device,
    /// How convolutions and pools are computed: as products of rows on a processor, by Burn's own
    /// kernels on a GPU.
    pub path: ComputePath,
    /// Whether the backend computes in the memory of this process.
    pub in_process: bool,
}

impl<B: AutodiffBackend> Place<B> {
    /// The same place without automatic differentiation.
    pub fn without_gradients(&self) -> Place<B::InnerBackend> {
        Place {
            device: self.device.inner().clone(),
            path: self.path,
            in_process: self.in_process,
        }
    }
}

/// Something to do on whichever backend is chosen.
pub trait Job {
    /// What comes of it.
    type Output;

    /// Does it at `place`.
    ///
    /// # Errors
    ///
    /// The job's own.
    fn run<B: AutodiffBackend>(self, place: Place<B>) -> Result<Self::Output, Error>;
}

/// The backend and device asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceChoice {
    /// The backend; the preferred one of those compiled in if none is named.
    pub backend: Option<BackendName>,
    /// Number of the backend's device, from 0.
    pub index: usize,
    /// Whether a GPU backend fuses chains of operations into kernels. Burn 0.21's fusion has bugs
    /// (`docs/burn-0.21.md`), so this is off unless asked for.
    pub fusion: bool,
}

/// Runs `job` on the chosen backend.
///
/// # Errors
///
/// When the backend or fusion is not compiled in, the backend does not work on this machine, or the
/// job's own.
pub fn run<J: Job>(choice: DeviceChoice, job: J) -> Result<J::Output, Error> {
    let DeviceChoice {
        backend,
        index,
        fusion,
    } = choice;
    let built = BackendName::built();
    let names: Vec<&str> = built.iter().map(|name| name.as_str()).collect();
    let missing = |asked: BackendName| Error::NoBackend {
        asked: asked.as_str(),
        built: if names.is_empty() {
            "none".to_string()
        } else {
            names.join(", ")
        },
    };
    let chosen = match backend.or(built.first().copied()) {
        Some(chosen) => chosen,
        None => return Err(missing(BackendName::Cpu)),
    };
    if fusion && (chosen == BackendName::Cpu || cfg!(not(feature = "fusion"))) {
        return Err(Error::NoFusion {
            backend: chosen.as_str(),
        });
    }
    match chosen {
        #[cfg(feature = "cuda")]
        BackendName::Cuda => {
            let device = burn_cuda::CudaDevice::new(index);
            #[cfg(feature = "fusion")]
            if fusion {
                return on::<FusedCuda, J>(chosen, index, device, job);
            }
            on::<Cuda, J>(chosen, index, device, job)
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => {
            let device = match index {
                0 => burn_wgpu::WgpuDevice::DefaultDevice,
                _ => burn_wgpu::WgpuDevice::DiscreteGpu(index),
            };
            #[cfg(feature = "fusion")]
            if fusion {
                return on::<FusedWgpu, J>(chosen, index, device, job);
            }
            on::<Wgpu, J>(chosen, index, device, job)
        }
        #[cfg(feature = "cpu")]
        BackendName::Cpu if index == 0 => on::<Cpu, J>(chosen, index, burn_flex::FlexDevice, job),
        #[cfg(feature = "cpu")]
        BackendName::Cpu => Err(Error::NoDevice {
            backend: "cpu",
            index,
            reason: "the processor is device 0".to_string(),
        }),
        #[allow(
            unreachable_patterns,
            reason = "with every backend compiled in nothing is left"
        )]
        absent => Err(missing(absent)),
    }
}

/// Runs `job` on a backend with automatic differentiation, once a first small computation shows
/// that its device is there: drivers that are missing panic, far from anything a user could read.
#[cfg(any(feature = "cpu", feature = "wgpu", feature = "cuda"))]
fn on<B, J>(name: BackendName, index: usize, device: B::Device, job: J) -> Result<J::Output, Error>
where
    B: Backend,
    J: Job,
{
    use std::panic::AssertUnwindSafe;

    use burn::tensor::Tensor;

    if name != BackendName::Cpu {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let works = std::panic::catch_unwind(AssertUnwindSafe(|| {
            Tensor::<B, 1>::ones([2], &device).sum().into_scalar();
        }));
        std::panic::set_hook(hook);
        if let Err(panic) = works {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("the driver did not say why");
            return Err(Error::NoDevice {
                backend: name.as_str(),
                index,
                reason: reason.lines().next().unwrap_or_default().to_string(),
            });
        }
    }
    let path = match name {
        BackendName::Cpu => ComputePath::Rows,
        BackendName::Wgpu | BackendName::Cuda => ComputePath::Native,
    };
    job.run::<burn::backend::Autodiff<B>>(Place {
        device,
        path,
        in_process: name == BackendName::Cpu,
    })
}
