//! The arguments that choose the backend and device, and the message before a slow first start.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::CliError;
use super::output::status;
use super::values::whole_number;
use crate::backend::{self, BackendName, BackendTask, DeviceChoice, KernelCache};

/// The choice of a backend and device.
#[derive(Debug, Clone, Args)]
pub(super) struct DeviceArgs {
    /// Compute on this backend [default: the first of cuda, wgpu and cpu that is compiled in].
    #[arg(long, value_name = "NAME", value_parser = backend_names())]
    backend: Option<BackendName>,
    /// Compute on this device of the backend, by its number in `loop-dml devices`.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<usize>(..), allow_negative_numbers = true)]
    device: usize,
    /// Fuse operations into larger GPU kernels (experimental; needs a binary built with --features
    /// fusion).
    #[arg(long)]
    fusion: bool,
    /// Time several GPU algorithms for each matrix product and convolution and use the fastest. The first start takes
    /// minutes on CUDA, and results may differ between starts. --fusion implies it.
    #[arg(long)]
    autotune: bool,
}

impl DeviceArgs {
    /// Returns the choice for the library.
    pub(super) fn choice(&self) -> DeviceChoice {
        DeviceChoice {
            backend: self.backend,
            index: self.device,
            fusion: self.fusion,
            autotune: self.autotune,
        }
    }

    /// Chooses the device of process `number` of its machine, if the machine has several: `--device` is that of the
    /// first process.
    ///
    /// # Errors
    ///
    /// If the backend is not compiled in.
    pub(super) fn choose_for_process(&mut self, number: usize) -> Result<(), CliError> {
        let devices = backend::device_count(self.choice().backend()?);
        // A device that does not exist is refused where it is opened.
        if self.device < devices {
            self.device = (self.device + number) % devices;
        }
        Ok(())
    }

    /// Returns the arguments that choose the same device.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(backend) = self.backend {
            arguments.extend(["--backend".to_string(), backend.to_string()]);
        }
        if self.device > 0 {
            arguments.extend(["--device".to_string(), self.device.to_string()]);
        }
        if self.fusion {
            arguments.push("--fusion".to_string());
        }
        if self.autotune {
            arguments.push("--autotune".to_string());
        }
        arguments
    }

    /// Runs `task` on the chosen backend. Prints a message if GPU kernels are compiled for the first
    /// time.
    ///
    /// # Errors
    ///
    /// If the backend cannot start.
    pub(super) fn run<T: BackendTask>(&self, task: T) -> Result<T::Output, CliError> {
        let prepared = backend::prepare(self.choice())?;
        if let Some(cache) = prepared.kernel_cache().filter(|cache| cache.is_empty) {
            status(first_compilation(cache));
        }
        Ok(prepared.run(task)?)
    }
}

/// Parses `--backend`, and lists the names in the help.
fn backend_names() -> impl TypedValueParser<Value = BackendName> {
    let values = BackendName::ALL.map(|name| {
        let help = match name {
            BackendName::Cuda => "NVIDIA GPUs",
            BackendName::Wgpu => "GPUs through Vulkan, Metal or DirectX",
            BackendName::Cpu => "The processor",
        };
        PossibleValue::new(name.as_str()).help(help)
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<BackendName>())
}

fn first_compilation(cache: &KernelCache) -> String {
    let folder = cache.folder.display();
    if cache.keeps_compiled {
        format!("compiling GPU kernels for the first time; they are cached in {folder}")
    } else {
        format!("choosing GPU kernels for the first time; the choices are cached in {folder}")
    }
}
