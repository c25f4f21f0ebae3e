//! The concrete backends.

/// wgpu without fusion. `burn_wgpu::Wgpu` fuses if any crate enables the feature.
#[cfg(feature = "wgpu")]
pub type Wgpu = burn_wgpu::CubeBackend<burn_wgpu::WgpuRuntime, f32, i32, u32>;

/// CUDA without fusion. `burn_cuda::Cuda` fuses if any crate enables the feature.
#[cfg(feature = "cuda")]
pub type Cuda = burn_cubecl::CubeBackend<burn_cubecl::cubecl::cuda::CudaRuntime, f32, i32, u8>;

/// wgpu with fusion.
#[cfg(all(feature = "wgpu", feature = "fusion"))]
pub type FusedWgpu = burn_wgpu::Wgpu;

/// CUDA with fusion.
#[cfg(all(feature = "cuda", feature = "fusion"))]
pub type FusedCuda = burn_cuda::Cuda;

/// The processor, with Burn's Flex.
#[cfg(feature = "cpu")]
pub type Cpu = burn_flex::Flex;
