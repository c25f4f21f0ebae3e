//! Checks of the keys for features: `model.backbone = "none"`.

use super::{Backbone, ModelConfig, Pooling};
use crate::setting::{Checked, SettingError, at_least, at_most};

/// The largest length of features, hidden layers and embeddings.
pub const MAXIMUM_DIM: usize = 65_536;

impl ModelConfig {
    /// Checks the keys that need features, and with features those that need a backbone.
    pub(super) fn check_features(&self) -> Checked {
        let only_features = [
            ("model.feature_dim", self.feature_dim.is_some()),
            ("model.standardize", self.standardize.is_some()),
        ];
        let only_backbones = [
            ("model.weights", self.weights.is_some()),
            ("model.pooling", self.pooling != Pooling::default()),
            ("model.freeze_batch_norm", self.freeze_batch_norm),
        ];
        let unused = match self.backbone {
            Backbone::None => &only_backbones[..],
            _ => &only_features,
        };
        if let Some((key, _)) = unused.iter().find(|(_, set)| *set) {
            return Err(SettingError::NotApplicable {
                key: (*key).into(),
                chosen: format!("`model.backbone = \"{}\"`", self.backbone),
            });
        }
        if let Some(dim) = self.feature_dim {
            at_least("model.feature_dim", dim, 1)?;
            at_most("model.feature_dim", dim, MAXIMUM_DIM)?;
        }
        Ok(())
    }
}
