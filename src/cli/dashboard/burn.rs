//! Burn's dashboard.

use std::time::{Duration, Instant};

use burn_train::renderer::MetricsRenderer;
use burn_train::renderer::tui::TuiMetricsRendererWrapper;

use super::terminal;
use crate::panic_capture;
use crate::training::RendererContext;

/// The name of the thread that draws. It panics if the user kills the training, and if the terminal is
/// closed; in the first case, the renderer panics afterwards too.
const THREAD: &str = "train-renderer";

/// How long to wait until Burn's thread controls the terminal.
const START: Duration = Duration::from_secs(2);

/// Burn's dashboard, in which Ctrl-C is a signal.
pub(super) struct BurnDashboard(Option<TuiMetricsRendererWrapper>);

impl BurnDashboard {
    /// Shows the dashboard.
    pub(super) fn start(context: &RendererContext) -> Self {
        panic_capture::silence_thread(THREAD);
        let inner =
            TuiMetricsRendererWrapper::new(context.cancellation.interrupter(), context.resumed);
        let since = Instant::now();
        // The thread enters raw mode first and installs its panic hook last.
        while since.elapsed() < START
            && !(terminal::is_controlled() && panic_capture::cover_foreign_hook())
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Err(error) = terminal::deliver_interrupts() {
            tracing::warn!("Ctrl-C has no effect in the dashboard ({error}); press q");
        }
        Self(Some(inner))
    }

    /// Returns Burn's renderer.
    pub(super) fn renderer(&mut self) -> &mut dyn MetricsRenderer {
        self.0.as_mut().expect("it is taken in `drop`")
    }
}

impl Drop for BurnDashboard {
    fn drop(&mut self) {
        let inner = self.0.take();
        if terminal::is_closed() {
            // Its thread may wait forever for keys of a closed terminal, and `drop` for the thread.
            std::mem::forget(inner);
        } else {
            // The user may kill the training at this moment.
            let _ = panic_capture::catch_quietly(|| drop(inner));
        }
        terminal::restore_terminal();
    }
}
