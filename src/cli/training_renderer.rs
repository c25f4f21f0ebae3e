//! The renderer of a training: keeps the state that lines and dashboards show.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use burn_train::LearnerSummary;
use burn_train::metric::MetricDefinition;
use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};

#[cfg(feature = "tui")]
use super::dashboard::Dashboard;
use super::progress::ProgressBars;
use super::training_state::SharedState;
use crate::progress::{Progress, ProgressObserver, Unit};

/// Receives what Burn's Learner renders, and forwards it to the dashboard, if any.
pub(super) struct TrainingRenderer {
    state: SharedState,
    /// Shows the progress within an epoch, if no dashboard does.
    bars: Option<Arc<ProgressBars>>,
    #[cfg(feature = "tui")]
    dashboard: Option<Dashboard>,
}

impl TrainingRenderer {
    /// Creates a renderer without a dashboard.
    pub(super) fn new(state: SharedState) -> Self {
        Self {
            state,
            bars: None,
            #[cfg(feature = "tui")]
            dashboard: None,
        }
    }

    /// Shows a dashboard.
    #[cfg(feature = "tui")]
    pub(super) fn with_dashboard(mut self, dashboard: Dashboard) -> Self {
        self.dashboard = Some(dashboard);
        self
    }

    /// Shows the progress within an epoch in `bars`.
    pub(super) fn with_bars(mut self, bars: Arc<ProgressBars>) -> Self {
        self.bars = Some(bars);
        self
    }

    fn show_progress(&self, verb: &str, progress: &TrainingProgress) {
        let (Some(bars), Some(images)) = (&self.bars, &progress.progress) else {
            return;
        };
        let epoch = &progress.global_progress;
        let task = format!(
            "{verb} epoch {}/{}",
            epoch.items_processed, epoch.items_total
        );
        if images.items_processed >= images.items_total {
            return bars.finish(&task);
        }
        bars.update(Progress {
            task: &task,
            done: images.items_processed as u64,
            total: Some(images.items_total as u64),
            unit: Unit::Images,
        });
    }

    /// Lets the dashboard show what is new.
    fn refresh(&mut self) {
        #[cfg(feature = "tui")]
        if let Some(dashboard) = &mut self.dashboard {
            dashboard.refresh();
        }
    }

    /// Burn's dashboard, if it is shown.
    fn burn(&mut self) -> Option<&mut dyn MetricsRenderer> {
        #[cfg(feature = "tui")]
        return self.dashboard.as_mut().and_then(Dashboard::burn);
        #[cfg(not(feature = "tui"))]
        return None;
    }
}

impl MetricsRendererTraining for TrainingRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.state.lock().update_train(&state);
        if let Some(burn) = self.burn() {
            burn.update_train(state);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let Some(burn) = self.burn() {
            burn.update_valid(state);
        }
    }

    fn render_train(&mut self, progress: TrainingProgress, indicators: Vec<ProgressType>) {
        self.state.lock().render_train(&progress, Instant::now());
        self.show_progress("training", &progress);
        if let Some(burn) = self.burn() {
            burn.render_train(progress, indicators);
        }
        self.refresh();
    }

    fn render_valid(&mut self, progress: TrainingProgress, indicators: Vec<ProgressType>) {
        self.state.lock().render_valid(&progress);
        self.show_progress("evaluating", &progress);
        if let Some(burn) = self.burn() {
            burn.render_valid(progress, indicators);
        }
        self.refresh();
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        match self.burn() {
            Some(burn) => burn.on_train_end(summary),
            None => Ok(()),
        }
    }
}

impl MetricsRendererEvaluation for TrainingRenderer {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}

    fn render_test(&mut self, _: EvaluationProgress, _: Vec<ProgressType>) {}
}

impl MetricsRenderer for TrainingRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.state.lock().register(definition.clone());
        if let Some(burn) = self.burn() {
            burn.register_metric(definition);
        }
    }
}
