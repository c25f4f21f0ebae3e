//! The arguments that choose where to compute, and what is printed before it.

use clap::Args;

use super::CliError;
use super::output::status;
use crate::backend::{self, BackendName, BackendTask, DeviceChoice, KernelCache};

/// Where to compute.
#[derive(Debug, Clone, Args)]
pub(super) struct DeviceArgs {
    /// Backend, of those compiled in; by default the first of cuda, wgpu and cpu.
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendName>,
    /// Number of the backend's device, as `loop-dml devices` lists them.
    #[arg(long, value_name = "N", default_value_t = 0)]
    device: usize,
    /// Let a GPU backend fuse operations into larger kernels (experimental; needs --features fusion).
    #[arg(long)]
    fusion: bool,
}

impl DeviceArgs {
    pub(super) fn choice(&self) -> DeviceChoice {
        DeviceChoice {
            backend: self.backend,
            index: self.device,
            fusion: self.fusion,
        }
    }

    /// Runs `task` on the chosen backend, and reports the kernels' first compilation.
    ///
    /// # Errors
    ///
    /// When the backend cannot start.
    pub(super) fn run<J: BackendTask>(&self, task: J) -> Result<J::Output, CliError> {
        let prepared = backend::prepare(self.choice())?;
        if let Some(cache) = prepared.kernel_cache().filter(|cache| cache.is_empty) {
            status(first_compilation(cache));
        }
        Ok(prepared.run(task)?)
    }
}

fn first_compilation(cache: &KernelCache) -> String {
    let folder = cache.folder.display();
    if cache.keeps_compiled {
        format!("compiling GPU kernels for the first time; they are kept in {folder}")
    } else {
        format!("choosing GPU kernels for the first time; the choices are kept in {folder}")
    }
}
