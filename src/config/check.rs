//! Checks across sections. Each section checks its own values.

use super::{Config, ConfigError, OptimizerConfig, TrainingConfig};
use crate::data::config::TransformConfig;
use crate::loss::check_all_pairs;
use crate::model::config::Backbone;
use crate::negatives::NegativesConfig;
use crate::setting::{Checked, SettingError};

impl Config {
    /// Checks every section by itself and against the others.
    ///
    /// # Errors
    ///
    /// The first invalid value, and what to write instead.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.model.check()?;
        self.check_input()?;
        self.check_image_size()?;
        self.data.check()?;
        self.check_imagenet_scale()?;
        self.batch.check()?;
        self.loss.check()?;
        self.negatives.check()?;
        self.check_pairs()?;
        self.optimizer.check()?;
        self.training.check()?;
        Ok(self.evaluation.check()?)
    }

    /// The images of a class must be pairs if the negatives need them, and few enough to compare all of their pairs.
    fn check_pairs(&self) -> Checked {
        let (classes, images) = (self.batch.classes, self.batch.images_per_class);
        if self.negatives.pairs_consecutive_rows() && !images.is_multiple_of(2) {
            let other = match &self.negatives {
                NegativesConfig::Loop(_) => "set negatives.pairs = \"all\"",
                _ => "choose other negatives",
            };
            let reason = format!(
                "must be even, because negatives.name = \"{}\" pairs images; give {} or {}, or {other}",
                self.negatives.name(),
                images - 1,
                images + 1
            );
            return Err(SettingError::value(
                "batch.images_per_class",
                images as i64,
                reason,
            ));
        }
        check_all_pairs(&self.negatives, std::iter::repeat_n(images, classes))
    }

    /// Images need a backbone, and features none.
    fn check_input(&self) -> Checked {
        let (backbone, dataset) = (self.model.backbone, self.data.source.name());
        match (backbone == Backbone::None, self.data.source.has_features()) {
            (true, true) => self.check_without_backbone(),
            (false, false) => Ok(()),
            (false, true) => Err(SettingError::value(
                "model.backbone",
                backbone.name(),
                format!(
                    "data.dataset = \"{dataset}\" has features instead of images; set model.backbone=none"
                ),
            )),
            (true, false) => Err(SettingError::value(
                "model.backbone",
                backbone.name(),
                format!(
                    "data.dataset = \"{dataset}\" has images, which need a backbone such as conv4; to train on \
                     features, set data.dataset=embeddings"
                ),
            )),
        }
    }

    /// Refuses keys that would have no effect without a backbone.
    fn check_without_backbone(&self) -> Checked {
        let (training, defaults) = (&self.training, TrainingConfig::default());
        let scale = OptimizerConfig::default().backbone_lr_scale;
        let unused = [
            (
                "training.freeze_backbone_epochs",
                training.freeze_backbone_epochs != defaults.freeze_backbone_epochs,
            ),
            (
                "training.gradient_checkpointing",
                training.gradient_checkpointing,
            ),
            (
                "training.precision",
                training.precision != defaults.precision,
            ),
            (
                "optimizer.backbone_lr_scale",
                self.optimizer.backbone_lr_scale != scale,
            ),
            ("evaluation.mirror", self.evaluation.mirror),
        ];
        match unused.into_iter().find(|(_, set)| *set) {
            Some((key, _)) => Err(SettingError::NotApplicable {
                key: key.into(),
                chosen: "`model.backbone = \"none\"`".into(),
            }),
            None => Ok(()),
        }
    }

    fn check_image_size(&self) -> Checked {
        let backbone = self.model.backbone;
        let minimum = backbone.minimum_image_size();
        if self.data.transform.image_size >= minimum {
            return Ok(());
        }
        Err(SettingError::value(
            "data.image_size",
            self.data.transform.image_size as i64,
            format!(
                "the backbone {backbone} needs images of at least {minimum} pixels; give {minimum} or more"
            ),
        ))
    }

    /// Pretrained weights expect images normalised by ImageNet's mean and standard deviation.
    fn check_imagenet_scale(&self) -> Checked {
        if !self.model.backbone.is_published() || self.model.weights.is_none() {
            return Ok(());
        }
        let (t, published) = (&self.data.transform, TransformConfig::default());
        for (key, value, expected) in [
            ("data.mean", t.mean, published.mean),
            ("data.std", t.std, published.std),
        ] {
            if value != expected {
                return Err(SettingError::value(
                    key,
                    value.map(f64::from).to_vec(),
                    format!(
                        "the pretrained weights in model.weights expect {expected:?}; remove this key"
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
