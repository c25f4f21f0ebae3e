//! Burn's dashboard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn_train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, SerializedEntry,
};
use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::renderer::{MetricState, MetricsRenderer};

use super::terminal;
use crate::cli::measured_line::measured_line;
use crate::cli::training_state::{SharedState, TrainingState};
use crate::panic_capture;
use crate::training::{Measured, RendererContext};

/// The name of the thread that draws. It panics if the user kills the training, and if the terminal is
/// closed; in the first case, the renderer panics afterwards too.
const THREAD: &str = "train-renderer";

/// How long to wait until Burn's thread controls the terminal.
const START: Duration = Duration::from_secs(2);

/// The time between two updates of the texts that Burn does not know.
const REFRESH: Duration = Duration::from_millis(250);

/// The names of these texts, which are above Burn's metrics.
const SPEED: &str = "Speed";
const UNTRAINED: &str = "Untrained recall";
const LAST: &str = "Last recall";
const BEST: &str = "Best recall";

/// Burn's dashboard, in which Ctrl-C is a signal.
pub(super) struct BurnDashboard {
    /// `None` only in `drop`.
    inner: Option<TuiMetricsRendererWrapper>,
    refreshed: Option<Instant>,
}

impl BurnDashboard {
    /// Shows the dashboard.
    pub(super) fn start(state: &SharedState, context: &RendererContext) -> Self {
        panic_capture::silence_thread(THREAD);
        #[cfg(unix)]
        if let Err(error) = super::held_stderr::hold() {
            tracing::debug!("standard error is not redirected: {error}");
        }
        let mut inner =
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
        for name in [SPEED, UNTRAINED, LAST, BEST] {
            inner.register_metric(MetricDefinition {
                metric_id: id(name),
                name: name.to_string(),
                description: None,
                attributes: MetricAttributes::None,
            });
        }
        let mut dashboard = Self {
            inner: Some(inner),
            refreshed: None,
        };
        dashboard.refresh(state);
        dashboard
    }

    /// Returns Burn's renderer.
    pub(super) fn renderer(&mut self) -> &mut dyn MetricsRenderer {
        self.inner.as_mut().expect("it is taken in `drop`")
    }

    /// Shows speed, time left, memory and recalls; returns `false` if that was done just before.
    pub(super) fn refresh(&mut self, state: &SharedState) -> bool {
        let now = Instant::now();
        if self.refreshed.is_some_and(|then| now - then < REFRESH) {
            return false;
        }
        self.refreshed = Some(now);
        let [speed, recalls @ ..] = texts(&state.lock(), now);
        let renderer = self.renderer();
        // Texts are shown in the order in which they first arrive.
        renderer.update_train(entry(SPEED, speed));
        for (name, text) in [UNTRAINED, LAST, BEST].into_iter().zip(recalls) {
            renderer.update_valid(entry(name, text));
        }
        true
    }
}

/// The texts, in the order of their names.
fn texts(state: &TrainingState, now: Instant) -> [String; 4] {
    let at = |measured: &Measured| measured_line(measured, "");
    let with_epoch = |measured: &Option<(usize, Measured)>| match measured {
        Some((epoch, recall)) => format!("{}  (epoch {epoch})", at(recall)),
        None => "-".to_string(),
    };
    [
        state.figures(now).join(", "),
        state.untrained.as_ref().map_or("-".to_string(), at),
        with_epoch(&state.last),
        with_epoch(&state.best),
    ]
}

fn id(name: &str) -> MetricId {
    MetricId::new(Arc::new(name.to_string()))
}

fn entry(name: &str, text: String) -> MetricState {
    let text = SerializedEntry::new(text.clone(), text);
    MetricState::Generic(MetricEntry::new(id(name), text))
}

impl Drop for BurnDashboard {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if super::hang_up::is_closed() {
            // Its thread may wait forever for keys of a closed terminal, and `drop` for the thread.
            std::mem::forget(inner);
        } else {
            // The user may kill the training at this moment.
            let _ = panic_capture::catch_quietly(|| drop(inner));
        }
        terminal::restore_terminal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::training_state::tests::running;

    #[test]
    fn texts_have_speed_and_recalls() {
        let since = Instant::now();
        let [speed, recalls @ ..] = texts(&running(since), since + Duration::from_secs(7));
        assert!(speed.starts_with("50 images/s, 49 s left"), "{speed}");
        assert_eq!(
            recalls,
            [
                "R@1 26.00  R@2 27.00  R@4 29.00  R@8 33.00  MAP@R 12.50",
                "R@1 61.00  R@2 62.00  R@4 64.00  R@8 68.00  MAP@R 30.00  (epoch 2)",
                "R@1 71.00  R@2 72.00  R@4 74.00  R@8 78.00  MAP@R 35.00  (epoch 1)",
            ]
        );
    }
}
