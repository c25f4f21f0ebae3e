//! wgpu's adapters in the order that `--device` counts.
//!
//! Discrete GPUs come first, then integrated, virtual and other ones, then a software driver, each
//! kind in the driver's order. Device 0 is therefore the one that wgpu prefers.

use ::wgpu::{AdapterInfo, DeviceType, Instance, InstanceDescriptor};
use burn_cubecl::cubecl::future::block_on;
use burn_wgpu::WgpuDevice;
use burn_wgpu::graphics::{AutoGraphicsApi, GraphicsApi};

use super::device_info::DeviceInfo;
use crate::panic_capture::catch_with_texts;

/// The reason if wgpu has no device.
pub(super) const NO_ADAPTER: &str = "no graphics driver with Vulkan, Metal or DirectX is found; \
                                     install one, such as Debian's mesa-vulkan-drivers";

/// An adapter and the name under which CubeCL finds it.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    pub(super) device: WgpuDevice,
    info: AdapterInfo,
}

impl Adapter {
    /// Returns the adapter's name, as its driver reports it.
    pub(super) fn name(&self) -> &str {
        &self.info.name
    }

    /// Returns the entry of the adapter in `loop-dml devices`, as device `index`.
    pub(super) fn describe(&self, index: usize) -> DeviceInfo {
        let driver = [&self.info.driver, &self.info.driver_info];
        let driver: Vec<&str> = driver
            .into_iter()
            .map(|part| part.trim())
            .filter(|part| !part.is_empty())
            .collect();
        DeviceInfo {
            index,
            name: self.info.name.clone(),
            memory_bytes: video_memory(&self.info.device_pci_bus_id),
            driver: (!driver.is_empty()).then(|| driver.join(" ")),
        }
    }
}

/// Returns the adapters of the graphics interface that CubeCL uses (Vulkan, on macOS Metal).
///
/// # Errors
///
/// If a driver panics, with the text of the panic.
pub(super) fn adapters() -> Result<Vec<Adapter>, String> {
    let infos: Vec<AdapterInfo> = catch_with_texts(|| {
        let backends = AutoGraphicsApi::backend().into();
        let instance = Instance::new(InstanceDescriptor {
            backends,
            ..InstanceDescriptor::new_without_display_handle()
        });
        let adapters = block_on(instance.enumerate_adapters(backends));
        adapters.iter().map(::wgpu::Adapter::get_info).collect()
    })?;
    let kinds: Vec<DeviceType> = infos.iter().map(|info| info.device_type).collect();
    Ok(in_order(&kinds)
        .into_iter()
        .map(|(at, device)| Adapter {
            device,
            info: infos[at].clone(),
        })
        .collect())
}

/// Returns, in the order of `--device`, each adapter's position in the driver's list and CubeCL's
/// name for it. `kinds` are the adapters' kinds in the driver's list.
///
/// CubeCL counts within a kind. It names only the first software driver. It names an adapter of kind
/// `Other` only by a number that a listed kind does not use. Adapters without a name are left out.
fn in_order(kinds: &[DeviceType]) -> Vec<(usize, WgpuDevice)> {
    let of_kind = |kind: DeviceType| -> Vec<usize> {
        let positions = kinds.iter().enumerate();
        positions
            .filter(|(_, found)| **found == kind)
            .map(|(at, _)| at)
            .collect()
    };
    let numbered = |kind, name: fn(usize) -> WgpuDevice| {
        let positions = of_kind(kind).into_iter().enumerate();
        positions.map(move |(number, at)| (at, name(number)))
    };
    let discrete = of_kind(DeviceType::DiscreteGpu).len();
    let integrated = of_kind(DeviceType::IntegratedGpu).len();
    let virtual_gpus = of_kind(DeviceType::VirtualGpu).len();
    let others = of_kind(DeviceType::Other).into_iter().enumerate();
    let others = others.filter_map(|(number, at)| {
        let device = if discrete <= number {
            WgpuDevice::DiscreteGpu(number)
        } else if integrated <= number {
            WgpuDevice::IntegratedGpu(number)
        } else if virtual_gpus <= number {
            WgpuDevice::VirtualGpu(number)
        } else {
            return None;
        };
        Some((at, device))
    });
    let software = of_kind(DeviceType::Cpu);
    let software = software.first().map(|&at| (at, WgpuDevice::Cpu));
    numbered(DeviceType::DiscreteGpu, WgpuDevice::DiscreteGpu)
        .chain(numbered(
            DeviceType::IntegratedGpu,
            WgpuDevice::IntegratedGpu,
        ))
        .chain(numbered(DeviceType::VirtualGpu, WgpuDevice::VirtualGpu))
        .chain(others)
        .chain(software)
        .collect()
}

/// Returns the bytes of a graphics card's memory, which Linux reports for AMD's cards. wgpu has no
/// such query.
fn video_memory(pci_address: &str) -> Option<u64> {
    if pci_address.is_empty() {
        return None;
    }
    let file = format!("/sys/bus/pci/devices/{pci_address}/mem_info_vram_total");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};

    #[test]
    fn discrete_gpus_are_first_and_a_software_driver_is_last() {
        let kinds = [Cpu, IntegratedGpu, DiscreteGpu, VirtualGpu, DiscreteGpu];
        assert_eq!(
            in_order(&kinds),
            [
                (2, WgpuDevice::DiscreteGpu(0)),
                (4, WgpuDevice::DiscreteGpu(1)),
                (1, WgpuDevice::IntegratedGpu(0)),
                (3, WgpuDevice::VirtualGpu(0)),
                (0, WgpuDevice::Cpu),
            ]
        );
    }

    #[test]
    fn single_software_driver_is_device_0() {
        assert_eq!(in_order(&[Cpu, Cpu]), [(0, WgpuDevice::Cpu)]);
        assert_eq!(in_order(&[]), []);
    }

    #[test]
    fn adapter_of_another_kind_takes_a_free_number() {
        assert_eq!(
            in_order(&[DiscreteGpu, Other, Other]),
            [
                (0, WgpuDevice::DiscreteGpu(0)),
                (1, WgpuDevice::IntegratedGpu(0)),
                (2, WgpuDevice::DiscreteGpu(1)),
            ]
        );
        let all = [DiscreteGpu, IntegratedGpu, VirtualGpu, Other];
        assert_eq!(in_order(&all).len(), 3);
    }
}
