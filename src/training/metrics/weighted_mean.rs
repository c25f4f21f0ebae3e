//! The mean of a number over the steps of an epoch.

use burn_train::metric::state::{FormatOptions, NumericMetricState};
use burn_train::metric::{NumericEntry, SerializedEntry};

/// The weighted mean of a number over the steps of an epoch. Each step adds one entry to Burn's event
/// store: the mean over the steps whose statistics were read during it, possibly none.
#[derive(Clone, Default)]
pub(super) struct MeanOfSteps {
    state: NumericMetricState,
    last: Option<(f64, usize)>,
}

impl MeanOfSteps {
    pub(super) fn update(
        &mut self,
        steps: impl Iterator<Item = (f64, usize)>,
        format: FormatOptions,
    ) -> SerializedEntry {
        let (mut sum, mut weight) = (0.0, 0);
        let mut read = 0;
        for (value, step_weight) in steps {
            sum += value * step_weight as f64;
            weight += step_weight;
            read += 1;
        }
        if read == 0 {
            self.last = None;
            return SerializedEntry::new("-".to_string(), self.current().serialize());
        }
        let mean = if weight == 0 {
            0.0
        } else {
            sum / weight as f64
        };
        self.last = Some((mean, weight));
        self.state.update(mean, weight, format)
    }

    /// The last entry; its count is 0 if no step was read.
    pub(super) fn current(&self) -> NumericEntry {
        let (aggregated_value, count) = self.last.unwrap_or((0.0, 0));
        NumericEntry::Aggregated {
            aggregated_value,
            count,
        }
    }

    pub(super) fn running(&self) -> NumericEntry {
        match self.state.running_value() {
            NumericEntry::Aggregated { count: 0, .. } => NumericEntry::Aggregated {
                aggregated_value: 0.0,
                count: 0,
            },
            running => running,
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
