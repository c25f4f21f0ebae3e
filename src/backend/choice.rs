//! The names of the backends, and the choice of a backend and device.

use std::fmt;
use std::str::FromStr;

use super::error::BackendError;

/// The name of a backend on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// Returns the backends compiled into this binary, the preferred first.
    pub fn compiled() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|name| match name {
                Self::Cuda => cfg!(feature = "cuda"),
                Self::Wgpu => cfg!(feature = "wgpu"),
                Self::Cpu => cfg!(feature = "cpu"),
            })
            .collect()
    }

    /// Returns the name as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
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

impl FromStr for BackendName {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        let mut names = Self::ALL.into_iter();
        names
            .find(|name| name.as_str() == text)
            .ok_or_else(|| BackendError::UnknownName { name: text.into() })
    }
}

/// A backend and one of its devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceChoice {
    /// The backend; `None` chooses the preferred one of those compiled in.
    pub backend: Option<BackendName>,
    /// Number of the backend's device, from 0, as `loop-dml devices` lists them.
    pub index: usize,
    /// Whether a GPU backend fuses chains of operations into one kernel. Burn 0.21's fusion has bugs
    /// (`docs/burn-0.21.md`), so the default is off.
    pub fusion: bool,
    /// Whether a GPU backend times Burn's algorithms for matrix products and convolutions and takes the fastest
    /// ([`crate::kernels::Arithmetic::Autotuned`]), in the whole process from then on. With fusion it always does.
    pub autotune: bool,
}

impl DeviceChoice {
    /// Returns the chosen backend, or the preferred one of those compiled in.
    ///
    /// # Errors
    ///
    /// If the backend, or fusion, is not compiled in, or autotuning is chosen for the processor.
    pub fn backend(&self) -> Result<BackendName, BackendError> {
        let built = BackendName::compiled();
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
        if self.autotune && chosen == BackendName::Cpu {
            return Err(BackendError::NoAutotuning);
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_printed() {
        for name in BackendName::ALL {
            assert_eq!(name.to_string().parse::<BackendName>().unwrap(), name);
        }
        let error = "CUDA".parse::<BackendName>().unwrap_err().to_string();
        assert_eq!(error, "unknown backend `CUDA`; choose cuda, wgpu or cpu");
    }
}
