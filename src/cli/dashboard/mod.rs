//! The dashboards of a training: Burn's where it fits, otherwise a compact one.

mod burn;
mod compact;
mod hang_up;
#[cfg(unix)]
mod held_stderr;
mod number;
mod plots;
mod terminal;
mod view;

use std::time::{Duration, Instant};

use burn::BurnDashboard;
use burn_train::renderer::MetricsRenderer;
use compact::CompactDashboard;
use ratatui::crossterm::terminal::size;
pub(super) use terminal::restore_terminal;

use super::training_state::SharedState;
use crate::panic_capture;
use crate::training::RendererContext;

/// The columns and rows from which Burn's dashboard shows every metric, recall and key.
const BURN_FITS: (u16, u16) = (140, 49);

/// How long a dashboard may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// Waits until the dashboard is closed, and restores the terminal if it is not: a training that ends by a
/// panic drops its renderer in another thread.
pub(super) fn close() {
    let since = Instant::now();
    while terminal::is_controlled() && since.elapsed() < CLOSE {
        std::thread::sleep(Duration::from_millis(5));
    }
    restore_terminal();
}

/// A dashboard in the terminal, until it is dropped.
pub(super) struct Dashboard {
    state: SharedState,
    context: RendererContext,
    /// `None` if the terminal was closed, and while one dashboard replaces another.
    screen: Option<Screen>,
}

enum Screen {
    Burn(BurnDashboard),
    Compact { _shown: CompactDashboard },
}

impl Screen {
    fn compact(state: &SharedState, context: &RendererContext) -> Self {
        Self::Compact {
            _shown: CompactDashboard::start(state.clone(), context.cancellation.clone()),
        }
    }
}

impl Dashboard {
    /// Shows the dashboard that fits the terminal.
    pub(super) fn start(state: SharedState, context: RendererContext) -> Self {
        panic_capture::before_printing(restore_terminal);
        let screen = match burn_fits() {
            true => Screen::Burn(BurnDashboard::start(&state, &context)),
            false => Screen::compact(&state, &context),
        };
        Self {
            state,
            context,
            screen: Some(screen),
        }
    }

    /// Returns Burn's dashboard, which receives what the training renders, if it is shown.
    pub(super) fn burn(&mut self) -> Option<&mut dyn MetricsRenderer> {
        match &mut self.screen {
            Some(Screen::Burn(burn)) => Some(burn.renderer()),
            _ => None,
        }
    }

    /// Called after each step: shows what Burn's dashboard does not know, and replaces it if the terminal
    /// became too small.
    pub(super) fn refresh(&mut self) {
        let Some(Screen::Burn(burn)) = &mut self.screen else {
            return;
        };
        if !burn.refresh(&self.state) {
            return;
        }
        if hang_up::is_closed() {
            self.screen = None;
        } else if !burn_fits() {
            // One must be closed before the other is opened.
            self.screen = None;
            self.screen = Some(Screen::compact(&self.state, &self.context));
        }
    }
}

fn burn_fits() -> bool {
    // A terminal of unknown size is taken for a small one.
    size().is_ok_and(|(columns, rows)| columns >= BURN_FITS.0 && rows >= BURN_FITS.1)
}
