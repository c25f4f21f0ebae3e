//! The report of `loop-dml devices`: every backend, its devices, and whether they work.

use serde::Serialize;

use super::choice::BackendName;
use super::device_info::DeviceInfo;
use super::probe;
use crate::model::Precision;

/// The result of a small computation on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeResult {
    /// Whether the result was right.
    pub works: bool,
    /// The reason if it was not.
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

/// A device, and whether it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// The device.
    #[serde(flatten)]
    pub device: DeviceInfo,
    /// Whether it works.
    #[serde(flatten)]
    pub probe: ProbeResult,
    /// The values of `training.precision` that it computes in; none if it does not work.
    pub precisions: Vec<Precision>,
    /// Whether it works with `--fusion`; `None` if the binary or the backend has no fusion.
    pub fusion: Option<ProbeResult>,
}

/// A backend and its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it is compiled into this binary.
    pub compiled: bool,
    /// Whether one of its devices works.
    pub works: bool,
    /// The reason if a device, or the whole backend, does not work.
    pub message: Option<String>,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
}

impl BackendReport {
    fn new(name: BackendName, devices: Result<Vec<DeviceReport>, String>) -> Self {
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

/// Tests every device of every compiled backend and returns a report of all backends, the preferred
/// first.
///
/// Each device multiplies two small matrices. The first time takes seconds, because kernels are
/// compiled.
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
        BackendName::Cuda => BackendReport::new(name, cuda.clone().map(Found::probe)),
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => BackendReport::new(name, adapters.clone().and_then(probe_adapters)),
        #[cfg(feature = "cpu")]
        BackendName::Cpu => BackendReport::new(name, Ok(vec![probe_processor()])),
        #[allow(
            unreachable_patterns,
            reason = "every name is matched above if every backend is compiled in"
        )]
        absent => BackendReport::not_compiled(absent),
    };
    BackendName::ALL.into_iter().map(of_backend).collect()
}

#[cfg(feature = "cpu")]
fn probe_processor() -> DeviceReport {
    let probe =
        probe::matrix_product::<super::concrete::Cpu>(&burn_flex::FlexDevice, Precision::F32)
            .map_err(|text| probe::first_line(&text));
    let precisions = match &probe {
        Ok(()) => probe::precisions::<super::concrete::Cpu>(&burn_flex::FlexDevice),
        Err(_) => Vec::new(),
    };
    DeviceReport {
        device: super::processor::describe(),
        probe: probe.into(),
        precisions,
        fusion: None,
    }
}

/// The devices of CUDA and its compiler, before any computation.
#[cfg(feature = "cuda")]
#[derive(Clone)]
struct Found {
    devices: Vec<DeviceInfo>,
    /// NVRTC's version, or the error.
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
            let readable = |text: String| {
                let known = super::cuda::error_from_panic(&text, device.index);
                known.map_or_else(|| probe::first_line(&text), |error| error.to_string())
            };
            let works = match &self.nvrtc {
                Ok(_) => probe::matrix_product::<super::concrete::Cuda>(&cuda, Precision::F32)
                    .map_err(readable),
                Err(missing) => Err(missing.clone()),
            };
            #[cfg(feature = "fusion")]
            let fusion = works.is_ok().then(|| {
                probe::matrix_product::<super::concrete::FusedCuda>(&cuda, Precision::F32)
                    .map_err(readable)
            });
            #[cfg(not(feature = "fusion"))]
            let fusion = None::<Result<(), String>>;
            let precisions = match &works {
                Ok(()) => probe::precisions::<super::concrete::Cuda>(&cuda),
                Err(_) => Vec::new(),
            };
            DeviceReport {
                device,
                probe: works.into(),
                precisions,
                fusion: fusion.map(ProbeResult::from),
            }
        });
        probed.collect()
    }
}

#[cfg(feature = "wgpu")]
fn probe_adapters(adapters: Vec<super::adapters::Adapter>) -> Result<Vec<DeviceReport>, String> {
    if adapters.is_empty() {
        return Err(super::adapters::NO_ADAPTER.to_string());
    }
    let probed = adapters.iter().enumerate().map(|(index, adapter)| {
        let readable = |text: String| probe::first_line(&text);
        let works = probe::matrix_product::<super::concrete::Wgpu>(&adapter.device, Precision::F32)
            .map_err(readable);
        #[cfg(feature = "fusion")]
        let fusion = works.is_ok().then(|| {
            probe::matrix_product::<super::concrete::FusedWgpu>(&adapter.device, Precision::F32)
                .map_err(readable)
        });
        #[cfg(not(feature = "fusion"))]
        let fusion = None::<Result<(), String>>;
        let precisions = match &works {
            Ok(()) => probe::precisions::<super::concrete::Wgpu>(&adapter.device),
            Err(_) => Vec::new(),
        };
        DeviceReport {
            device: adapter.describe(index),
            probe: works.into(),
            precisions,
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
            precisions: Vec::new(),
            fusion: None,
        }
    }

    #[test]
    fn backend_works_if_one_device_does_and_reports_the_first_failure() {
        let devices = vec![device(0, Some("no free memory")), device(1, None)];
        let report = BackendReport::new(BackendName::Cuda, Ok(devices));
        assert!(report.works);
        assert_eq!(report.message.as_deref(), Some("no free memory"));
        let report = BackendReport::new(BackendName::Cuda, Err("no driver".into()));
        assert!(report.compiled && !report.works && report.devices.is_empty());
        assert_eq!(report.message.as_deref(), Some("no driver"));
    }

    #[test]
    fn backend_that_is_not_compiled_in_names_the_feature() {
        let report = BackendReport::not_compiled(BackendName::Cuda);
        assert!(!report.compiled && !report.works);
        assert!(report.message.unwrap().contains("--features cuda"));
    }
}
