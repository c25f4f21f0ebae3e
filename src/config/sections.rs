//! `[optimizer]`, `[training]` and `[evaluation]`: the sections of the layers above this module. Every other
//! section is defined in the module it configures. Each key is documented with its unit and range.

use serde::{Deserialize, Serialize};

use crate::setting::{
    Checked, SettingError, at_least, at_most, below_one, counts, not_negative, positive, rising,
};

/// `[optimizer]`: Adam with L2 weight decay and step decay of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate before any decay, above 0 (1e-4 in the published recipe); the backbone's is
    /// `backbone_factor` times it.
    pub learning_rate: f64,
    /// L2 penalty added to the gradient (not decoupled), at least 0 (5e-4 published).
    pub weight_decay: f64,
    /// Adam's β₁, 0 ≤ β₁ < 1.
    pub beta_1: f64,
    /// Adam's β₂, 0 ≤ β₂ < 1.
    pub beta_2: f64,
    /// Adam's ε, above 0.
    pub epsilon: f64,
    /// Epochs after which the learning rate is multiplied by `decay_factor`, rising.
    pub decay_epochs: Vec<usize>,
    /// Factor of each decay, above 0 and at most 1.
    pub decay_factor: f64,
    /// The backbone's learning rate as a multiple of the head's, above 0.
    pub backbone_factor: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 5e-4,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            decay_epochs: Vec::new(),
            decay_factor: 0.5,
            backbone_factor: 1.0,
        }
    }
}

/// `[training]`: how long, from which seed, and how often the test split is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Epochs; one is (training classes × K) images, the last partial batch dropped, as published.
    pub epochs: usize,
    /// For so many epochs, from the first, only the head trains: the backbone works as at evaluation
    /// and nothing in it changes. With `epochs` or more, always (linear probing).
    pub freeze_epochs: usize,
    /// Whether a training step keeps only what goes into each stage of the backbone and computes the
    /// rest anew for the gradients: a fraction of the memory for about a third more time, and the same
    /// numbers.
    pub gradient_checkpointing: bool,
    /// Seed of the initialisation, the batches, the augmentation and the dropout.
    pub seed: u64,
    /// The test split is embedded and measured after every so many epochs, and after the last.
    pub validate_every: usize,
    /// Stop when R@1 has not risen for so many epochs. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<usize>,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            freeze_epochs: 0,
            gradient_checkpointing: false,
            seed: 1,
            validate_every: 1,
            early_stopping: None,
        }
    }
}

/// `[evaluation]`: what is measured on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// The K of Recall@K, rising, each at least 1.
    pub recall: Vec<usize>,
    /// Images embedded at once; it changes speed and memory, never a measure.
    pub batch_size: usize,
    /// Whether an image's embedding is the mean of its own and its mirror image's, scaled again to
    /// unit length where embeddings are. Off in the published tables.
    pub mirror: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            recall: vec![1, 2, 4, 8],
            batch_size: 64,
            mirror: false,
        }
    }
}

impl OptimizerConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first value that cannot be trained with, and what to give instead.
    pub fn check(&self) -> Checked {
        positive("optimizer.learning_rate", self.learning_rate)?;
        not_negative("optimizer.weight_decay", self.weight_decay)?;
        positive("optimizer.epsilon", self.epsilon)?;
        below_one("optimizer.beta_1", self.beta_1)?;
        below_one("optimizer.beta_2", self.beta_2)?;
        positive("optimizer.backbone_factor", self.backbone_factor)?;
        positive("optimizer.decay_factor", self.decay_factor)?;
        if self.decay_factor > 1.0 {
            return Err(SettingError::value(
                "optimizer.decay_factor",
                self.decay_factor,
                "the learning rate would rise; give 1 or less",
            ));
        }
        rising("optimizer.decay_epochs", &self.decay_epochs)
    }
}

impl TrainingConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first value that cannot be trained with, and what to give instead.
    pub fn check(&self) -> Checked {
        at_least("training.epochs", self.epochs, 1)?;
        at_least("training.validate_every", self.validate_every, 1)?;
        if let Some(patience) = self.early_stopping {
            at_least("training.early_stopping", patience, 1)?;
        }
        if self.seed > i64::MAX as u64 {
            return Err(SettingError::Value {
                key: "training.seed".into(),
                value: self.seed.to_string(),
                reason: format!("give at most {}", i64::MAX),
            });
        }
        Ok(())
    }
}

impl EvaluationConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first value that cannot be measured with, and what to give instead.
    pub fn check(&self) -> Checked {
        at_least("evaluation.batch_size", self.batch_size, 1)?;
        at_most("evaluation.batch_size", self.batch_size, 65_536)?;
        if !self.recall.contains(&1) {
            return Err(SettingError::value(
                "evaluation.recall",
                counts(&self.recall),
                "Recall@1 chooses the best checkpoint; let the list begin with 1",
            ));
        }
        rising("evaluation.recall", &self.recall)
    }
}
