//! `[optimizer]`, `[training]` and `[evaluation]`: the sections of the layers above this module. Every other
//! section is defined in the module it configures. Each key is documented with its unit and range.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CheckpointInterval;
use crate::model::Precision;
use crate::setting::{
    Checked, SettingError, at_least, at_most, below_one, counts, increasing, not_negative, positive,
};

/// `[optimizer]`: Adam with L2 weight decay and step decay of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate before any decay, above 0 (published: 1e-4). That of the backbone is
    /// `backbone_lr_scale` times this.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// L2 penalty added to the gradient (not decoupled), at least 0 (published: 5e-4).
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Adam's β₁, 0 ≤ β₁ < 1.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta_1: f64,
    /// Adam's β₂, 0 ≤ β₂ < 1.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta_2: f64,
    /// Adam's ε, above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub epsilon: f64,
    /// Epochs after which the learning rate is multiplied by `decay_factor`, increasing.
    #[schemars(inner(range(min = 1)))]
    pub decay_epochs: Vec<usize>,
    /// Factor of each decay, above 0 and at most 1.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub decay_factor: f64,
    /// The backbone's learning rate as a multiple of the head's, above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub backbone_lr_scale: f64,
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
            backbone_lr_scale: 1.0,
        }
    }
}

/// `[training]`: epochs, seed, and how often the network is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Epochs. An epoch has (training classes × K) images; the last partial batch is dropped, as
    /// published.
    #[schemars(range(min = 1))]
    pub epochs: usize,
    /// Number of epochs, from the first, that train only the head. The backbone runs as in evaluation and
    /// does not change. With `epochs` or more this is linear probing.
    pub freeze_backbone_epochs: usize,
    /// Whether a training step keeps only the inputs of the backbone's stages and computes the other
    /// activations again for the gradients. It takes a fraction of the memory and about a third more
    /// time; results are bit-identical.
    pub gradient_checkpointing: bool,
    /// Number format of the backbone's convolutions and element-wise operations in training. Parameters, their
    /// gradients, the optimiser, batch norms, pooling, head and loss are f32 in every format, and so are
    /// evaluation and embedding. A format that the device does not have is refused.
    pub precision: Precision,
    /// Whether batch norms use the statistics of the whole batch if several processes share it (`mpirun`), as one
    /// process does. Otherwise those of each process's part, as in PyTorch's DistributedDataParallel. Without
    /// `mpirun` it changes nothing.
    pub sync_batch_norm: bool,
    /// Seed of the initialisation, the batches, the augmentation and the dropout.
    #[schemars(range(max = i64::MAX))]
    pub seed: u64,
    /// Number of epochs between evaluations of the split that `evaluation.protocol` names. The last epoch
    /// is always evaluated.
    #[schemars(range(min = 1))]
    pub validate_every: usize,
    /// Number of epochs without a better one (a higher R@1, or the same with a higher MAP@R) after which training
    /// stops. If absent: never.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<usize>,
    /// Interval between checkpoints: a number of epochs, or a string such as `"30 minutes"`. If absent: at
    /// each evaluated epoch, and at least every 10 minutes. The best and the last epoch are always
    /// saved, and an interrupted run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointInterval>,
    /// Number of latest checkpoints that are kept, besides the best.
    #[schemars(range(min = 1))]
    pub keep_checkpoints: usize,
    /// Whether the epochs are written for TensorBoard, to `tensorboard/` in the run folder.
    pub tensorboard: bool,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            freeze_backbone_epochs: 0,
            gradient_checkpointing: false,
            precision: Precision::default(),
            sync_batch_norm: false,
            seed: 1,
            validate_every: 1,
            early_stopping: None,
            checkpoint_every: None,
            keep_checkpoints: 2,
            tensorboard: true,
        }
    }
}

/// `[evaluation]`: the metrics, and the split that chooses the best checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// The split that chooses the best checkpoint.
    pub protocol: Protocol,
    /// The K of Recall@K, increasing, beginning with 1.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub recall: Vec<usize>,
    /// Images embedded at once. It affects speed and memory only.
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: usize,
    /// Whether the embedding of an image is the mean of the embeddings of the image and its mirror
    /// image, scaled to unit length again if embeddings are. The published tables do not use it.
    pub mirror: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            recall: vec![1, 2, 4, 8],
            batch_size: 64,
            mirror: false,
        }
    }
}

/// The split that chooses the best checkpoint and decides early stopping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Validation classes: those that a manifest names, else classes held out from the training classes
    /// (`data.validation_share` or `data.folds`).
    #[default]
    Validated,
    /// The test split, as published tables do. All training classes train; `data.validation_share`,
    /// `data.folds`, `data.fold` and listed validation images are unused. Recall on the test split is then that of the best epoch on
    /// the test split, which is higher than that of an epoch chosen without it.
    Published,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Validated => "validated",
            Self::Published => "published",
        })
    }
}

impl OptimizerConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first invalid value, and what to write instead.
    pub fn check(&self) -> Checked {
        positive("optimizer.learning_rate", self.learning_rate)?;
        not_negative("optimizer.weight_decay", self.weight_decay)?;
        positive("optimizer.epsilon", self.epsilon)?;
        below_one("optimizer.beta_1", self.beta_1)?;
        below_one("optimizer.beta_2", self.beta_2)?;
        positive("optimizer.backbone_lr_scale", self.backbone_lr_scale)?;
        positive("optimizer.decay_factor", self.decay_factor)?;
        if self.decay_factor > 1.0 {
            return Err(SettingError::value(
                "optimizer.decay_factor",
                self.decay_factor,
                "the learning rate would rise; give 1 or less",
            ));
        }
        increasing("optimizer.decay_epochs", &self.decay_epochs)
    }
}

impl TrainingConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first invalid value, and what to write instead.
    pub fn check(&self) -> Checked {
        at_least("training.epochs", self.epochs, 1)?;
        at_least("training.validate_every", self.validate_every, 1)?;
        if let Some(patience) = self.early_stopping {
            at_least("training.early_stopping", patience, 1)?;
        }
        if let Some(interval) = self.checkpoint_every {
            interval.check("training.checkpoint_every")?;
        }
        at_least("training.keep_checkpoints", self.keep_checkpoints, 1)?;
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
    /// The first invalid value, and what to write instead.
    pub fn check(&self) -> Checked {
        at_least("evaluation.batch_size", self.batch_size, 1)?;
        at_most("evaluation.batch_size", self.batch_size, 65_536)?;
        if !self.recall.contains(&1) {
            return Err(SettingError::value(
                "evaluation.recall",
                counts(&self.recall),
                "Recall@1 chooses the best checkpoint; the list must begin with 1",
            ));
        }
        increasing("evaluation.recall", &self.recall)
    }
}
