//! The dashboards of a training.

mod burn;
mod terminal;

use burn::BurnDashboard;
use burn_train::renderer::MetricsRenderer;
pub(super) use terminal::restore_terminal;

use crate::panic_capture;
use crate::training::RendererContext;

/// A dashboard in the terminal, until it is dropped.
pub(super) struct Dashboard {
    burn: BurnDashboard,
}

impl Dashboard {
    /// Shows the dashboard.
    pub(super) fn start(context: &RendererContext) -> Self {
        panic_capture::before_printing(restore_terminal);
        Self {
            burn: BurnDashboard::start(context),
        }
    }

    /// Returns Burn's renderer, which receives what the training renders.
    pub(super) fn burn(&mut self) -> Option<&mut dyn MetricsRenderer> {
        Some(self.burn.renderer())
    }
}
