//! The learning rate schedule.

use burn::lr_scheduler::LrScheduler;
use burn::tensor::backend::Backend;

use crate::config::OptimizerConfig;

/// Step decay: `learning_rate × decay_factorⁿ` after the n-th of `decay_epochs`.
///
/// Burn's Learner calls a scheduler once a step, so epochs are counted in steps.
#[derive(Debug, Clone)]
pub struct StepDecay {
    learning_rate: f64,
    factor: f64,
    /// Numbers of steps after which the rate falls, increasing.
    milestones: Vec<usize>,
    /// Number of steps taken.
    steps: usize,
}

impl StepDecay {
    /// Creates the schedule of a configuration for epochs of `steps_per_epoch` batches.
    pub fn new(config: &OptimizerConfig, steps_per_epoch: usize) -> Self {
        Self {
            learning_rate: config.learning_rate,
            factor: config.decay_factor,
            milestones: config
                .decay_epochs
                .iter()
                .map(|epoch| epoch.saturating_mul(steps_per_epoch))
                .collect(),
            steps: 0,
        }
    }

    /// Continues after `steps` steps.
    pub fn after(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

impl LrScheduler for StepDecay {
    type Record<B: Backend> = usize;

    fn step(&mut self) -> f64 {
        let decays = self.milestones.partition_point(|&m| m <= self.steps);
        self.steps += 1;
        self.learning_rate * self.factor.powi(decays as i32)
    }

    fn to_record<B: Backend>(&self) -> usize {
        self.steps
    }

    fn load_record<B: Backend>(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> StepDecay {
        let config = OptimizerConfig {
            learning_rate: 1.0,
            decay_epochs: vec![2, 3],
            decay_factor: 0.5,
            ..Default::default()
        };
        StepDecay::new(&config, 2)
    }

    #[test]
    fn rate_falls_after_the_given_epochs() {
        let mut schedule = schedule();
        let rates: Vec<f64> = (0..8).map(|_| schedule.step()).collect();
        assert_eq!(rates, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn restored_schedule_continues() {
        let mut whole = schedule();
        for _ in 0..5 {
            whole.step();
        }
        let record = whole.to_record::<burn_flex::Flex>();
        let mut restored = schedule().load_record::<burn_flex::Flex>(record);
        for _ in 0..4 {
            assert_eq!(restored.step(), whole.step());
        }
    }
}
