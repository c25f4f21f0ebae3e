//! A renderer that cannot end a training.

use std::error::Error;

use burn_train::LearnerSummary;
use burn_train::metric::MetricDefinition;
use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};

use crate::cancellation::CancellationToken;
use crate::panic_capture::{catch_message, catch_quietly};

/// What the panic of a renderer says if the user asked for it.
const USER_REQUEST: &str = "from user input";

/// Forwards to another renderer, if there is one, until that one panics.
///
/// Burn's dashboard panics if the user kills the training, and if the terminal is closed. The first
/// cancels the training, the second leaves it without a dashboard.
pub(super) struct GuardedRenderer {
    inner: Option<Box<dyn MetricsRenderer>>,
    cancellation: CancellationToken,
}

impl GuardedRenderer {
    /// Creates a renderer that forwards to `inner`.
    pub(super) fn new(
        inner: Option<Box<dyn MetricsRenderer>>,
        cancellation: CancellationToken,
    ) -> Self {
        Self {
            inner,
            cancellation,
        }
    }

    fn forward(&mut self, call: impl FnOnce(&mut dyn MetricsRenderer)) {
        let Some(inner) = self.inner.as_deref_mut() else {
            return;
        };
        let Err(message) = catch_message(|| call(inner)) else {
            return;
        };
        self.close();
        if message.contains(USER_REQUEST) {
            self.cancellation.cancel();
        } else {
            tracing::warn!("the dashboard failed ({message}); the training continues without it");
        }
    }

    fn close(&mut self) {
        let inner = self.inner.take();
        // Burn's dashboard may panic in `drop`.
        let _ = catch_quietly(|| drop(inner));
    }
}

impl Drop for GuardedRenderer {
    fn drop(&mut self) {
        self.close();
    }
}

impl MetricsRendererTraining for GuardedRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.forward(|inner| inner.update_train(state));
    }

    fn update_valid(&mut self, state: MetricState) {
        self.forward(|inner| inner.update_valid(state));
    }

    fn render_train(&mut self, progress: TrainingProgress, indicators: Vec<ProgressType>) {
        self.forward(|inner| inner.render_train(progress, indicators));
    }

    fn render_valid(&mut self, progress: TrainingProgress, indicators: Vec<ProgressType>) {
        self.forward(|inner| inner.render_valid(progress, indicators));
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        let mut result = Ok(());
        self.forward(|inner| result = inner.on_train_end(summary));
        result
    }
}

impl MetricsRendererEvaluation for GuardedRenderer {
    fn update_test(&mut self, name: EvaluationName, state: MetricState) {
        self.forward(|inner| inner.update_test(name, state));
    }

    fn render_test(&mut self, progress: EvaluationProgress, indicators: Vec<ProgressType>) {
        self.forward(|inner| inner.render_test(progress, indicators));
    }

    fn on_test_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        let mut result = Ok(());
        self.forward(|inner| result = inner.on_test_end(summary));
        result
    }
}

impl MetricsRenderer for GuardedRenderer {
    fn manual_close(&mut self) {
        self.forward(|inner| inner.manual_close());
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.forward(|inner| inner.register_metric(definition));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Panics with `message` from the second call on, and when it is dropped.
    struct Failing {
        message: &'static str,
        calls: Arc<AtomicUsize>,
    }

    impl Failing {
        fn called(&self) {
            if self.calls.fetch_add(1, Ordering::Relaxed) > 0 {
                panic!("{}", self.message);
            }
        }
    }

    impl Drop for Failing {
        fn drop(&mut self) {
            self.called();
        }
    }

    impl MetricsRendererTraining for Failing {
        fn update_train(&mut self, _: MetricState) {}
        fn update_valid(&mut self, _: MetricState) {}
        fn render_train(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {
            self.called();
        }
        fn render_valid(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
    }

    impl MetricsRendererEvaluation for Failing {
        fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
        fn render_test(&mut self, _: EvaluationProgress, _: Vec<ProgressType>) {}
    }

    impl MetricsRenderer for Failing {
        fn manual_close(&mut self) {}
        fn register_metric(&mut self, _: MetricDefinition) {}
    }

    /// Renders three times; returns whether the training was cancelled, and the calls.
    fn render_three_times(message: &'static str) -> (bool, usize) {
        let cancellation = CancellationToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let inner = Failing {
            message,
            calls: calls.clone(),
        };
        let mut renderer = GuardedRenderer::new(Some(Box::new(inner)), cancellation.clone());
        for _ in 0..3 {
            renderer.render_train(TrainingProgress::none(), Vec::new());
        }
        assert!(renderer.on_train_end(None).is_ok());
        drop(renderer);
        (cancellation.is_cancelled(), calls.load(Ordering::Relaxed))
    }

    #[test]
    fn renderer_that_panics_is_dropped_and_the_training_continues() {
        assert_eq!(render_three_times("the terminal is closed"), (false, 3));
    }

    #[test]
    fn panic_that_the_user_asked_for_cancels_the_training() {
        assert_eq!(
            render_three_times("Killing training from user input."),
            (true, 3)
        );
    }

    #[test]
    fn without_a_renderer_nothing_is_rendered() {
        let mut renderer = GuardedRenderer::new(None, CancellationToken::new());
        renderer.render_train(TrainingProgress::none(), Vec::new());
        assert!(renderer.on_train_end(None).is_ok());
    }
}
