//! What `loop-dml devices` reports: every backend, its devices, and whether they compute.

use serde::Serialize;

use super::{BackendName, probe};

/// A device of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Number for `--device`, from 0.
    pub index: usize,
    /// Name, as the driver or the system reports it.
    pub name: String,
    /// Bytes of its memory, where they can be found.
    pub memory_bytes: Option<u64>,
    /// Name and version of its driver, where they can be found.
    pub driver: Option<String>,
}

/// Whether a small computation gave the right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeResult {
    /// Whether it did.
    pub works: bool,
    /// The reason where it did not.
    pub message: Option<String>,
}

impl From<Result<(), String>> for ProbeResult {
    fn from(result: Result<(), String>) -> Self {
        Self {
            works: result.is_ok(),
            message: result.err(),
        }
    }
}

/// A device, and whether it computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// The device.
    #[serde(flatten)]
    pub device: DeviceInfo,
    /// Whether it computes.
    #[serde(flatten)]
    pub probe: ProbeResult,
    /// Whether it computes with `--fusion`, where the binary and the backend have it.
    pub fusion: Option<ProbeResult>,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it is compiled into this binary.
    pub compiled: bool,
    /// Whether a device of it computes.
    pub works: bool,
    /// The reason where a device, or the whole backend, does not work.
    pub message: Option<String>,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
}

impl BackendReport {
    fn of(name: BackendName, devices: Result<Vec<DeviceReport>, String>) -> Self {
        let (devices, message) = match devices {
            Ok(devices) => {
                let failed = devices.iter().find(|device| !device.probe.works);
                let message = failed.and_then(|device| device.probe.message.clone());
                (devices, message)
            }
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Self {
            name: name.as_str(),
            compiled: true,
            works: devices.iter().any(|device| device.probe.works),
            message,
            devices,
        }
    }

    fn not_compiled(name: BackendName) -> Self {
        Self {
            name: name.as_str(),
            compiled: false,
            works: false,
            message: Some(format!(
                "not compiled in; build with --features {}",
                name.as_str()
            )),
            devices: Vec::new(),
        }
    }
}

/// Every backend with its devices, the preferred first. Each device of a compiled backend
/// multiplies two small matrices; the first time this takes seconds, for kernels are compiled.
pub fn report() -> Vec<BackendReport> {
    #[cfg(feature = "cuda")]
    let cuda = Found::cuda();
    #[cfg(feature = "wgpu")]
    let adapters = super::adapters::adapters().map_err(|text| probe::first_line(&text));
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        let mut names: Vec<&str> = Vec::new();
        #[cfg(feature = "cuda")]
        names.extend(cuda.iter().flat_map(Found::names));
        #[cfg(feature = "wgpu")]
        names.extend(
            adapters
                .iter()
                .flatten()
                .map(super::adapters::Adapter::name),
        );
        super::kernel_cache::keep_choices(&names);
    }
    let of_backend = |name| match name {
        #[cfg(feature = "cuda")]
        BackendName::Cuda => BackendReport::of(name, cuda.clone().map(Found::probe)),
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => BackendReport::of(name, adapters.clone().and_then(probe_adapters)),
        #[cfg(feature = "cpu")]
        BackendName::Cpu => BackendReport::of(name, Ok(vec![probe_processor()])),
        #[allow(
            unreachable_patterns,
            reason = "with every backend compiled in nothing is left"
        )]
        absent => BackendReport::not_compiled(absent),
    };
    BackendName::ALL.into_iter().map(of_backend).collect()
}

#[cfg(feature = "cpu")]
fn probe_processor() -> DeviceReport {
    let probe = probe::matrix_product::<super::Cpu>(&burn_flex::FlexDevice)
        .map_err(|text| probe::first_line(&text));
    DeviceReport {
        device: super::processor::describe(),
        probe: probe.into(),
        fusion: None,
    }
}

/// What CUDA finds before it computes.
#[cfg(feature = "cuda")]
#[derive(Clone)]
struct Found {
    devices: Vec<DeviceInfo>,
    /// NVRTC's version, or what is missing.
    nvrtc: Result<String, String>,
}

#[cfg(feature = "cuda")]
impl Found {
    fn cuda() -> Result<Self, String> {
        Ok(Self {
            devices: super::cuda::devices().map_err(|error| error.to_string())?,
            nvrtc: super::cuda::check_toolkit().map_err(|error| error.to_string()),
        })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.devices.iter().map(|device| &*device.name);
        names.chain(self.nvrtc.iter().map(String::as_str))
    }

    fn probe(self) -> Vec<DeviceReport> {
        let probed = self.devices.into_iter().map(|device| {
            let cuda = burn_cuda::CudaDevice::new(device.index);
            let clear = |text: String| {
                let known = super::CudaError::from_panic(&text, device.index);
                known.map_or_else(|| probe::first_line(&text), |error| error.to_string())
            };
            let works = match &self.nvrtc {
                Ok(_) => probe::matrix_product::<super::Cuda>(&cuda).map_err(clear),
                Err(missing) => Err(missing.clone()),
            };
            #[cfg(feature = "fusion")]
            let fusion = works
                .is_ok()
                .then(|| probe::matrix_product::<super::FusedCuda>(&cuda).map_err(clear));
            #[cfg(not(feature = "fusion"))]
            let fusion = None::<Result<(), String>>;
            DeviceReport {
                device,
                probe: works.into(),
                fusion: fusion.map(ProbeResult::from),
            }
        });
        probed.collect()
    }
}

#[cfg(feature = "wgpu")]
fn probe_adapters(adapters: Vec<super::adapters::Adapter>) -> Result<Vec<DeviceReport>, String> {
    if adapters.is_empty() {
        return Err(super::NO_ADAPTER.to_string());
    }
    let probed = adapters.iter().enumerate().map(|(index, adapter)| {
        let clear = |text: String| probe::first_line(&text);
        let works = probe::matrix_product::<super::Wgpu>(&adapter.device).map_err(clear);
        #[cfg(feature = "fusion")]
        let fusion = works
            .is_ok()
            .then(|| probe::matrix_product::<super::FusedWgpu>(&adapter.device).map_err(clear));
        #[cfg(not(feature = "fusion"))]
        let fusion = None::<Result<(), String>>;
        DeviceReport {
            device: adapter.describe(index),
            probe: works.into(),
            fusion: fusion.map(ProbeResult::from),
        }
    });
    Ok(probed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: usize, message: Option<&str>) -> DeviceReport {
        DeviceReport {
            device: DeviceInfo {
                index,
                name: "GPU".into(),
                memory_bytes: None,
                driver: None,
            },
            probe: ProbeResult {
                works: message.is_none(),
                message: message.map(String::from),
            },
            fusion: None,
        }
    }

    #[test]
    fn a_backend_works_if_one_device_does_and_names_the_first_failure() {
        let devices = vec![device(0, Some("no free memory")), device(1, None)];
        let report = BackendReport::of(BackendName::Cuda, Ok(devices));
        assert!(report.works);
        assert_eq!(report.message.as_deref(), Some("no free memory"));
        let report = BackendReport::of(BackendName::Cuda, Err("no driver".into()));
        assert!(report.compiled && !report.works && report.devices.is_empty());
        assert_eq!(report.message.as_deref(), Some("no driver"));
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_says_how_to_get_it() {
        let report = BackendReport::not_compiled(BackendName::Cuda);
        assert!(!report.compiled && !report.works);
        assert!(report.message.unwrap().contains("--features cuda"));
    }
}
