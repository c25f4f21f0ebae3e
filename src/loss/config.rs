//! `[loss]`: the loss with its keys, and the reduction over anchors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hphn_triplet::HphnTripletLossConfig;
use super::kind::LossKind;
use crate::setting::Checked;

/// `[loss]`: the loss with its keys, and the reduction over anchors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "toml::Table")]
#[schemars(!try_from, default)]
pub struct LossConfig {
    /// The loss and its keys. Default [`HphnTriplet`](LossKind::HphnTriplet).
    #[serde(flatten)]
    pub kind: LossKind,
    /// How the losses of the anchors are reduced to one number. Default `sum`.
    pub reduction: Reduction,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::HphnTriplet(HphnTripletLossConfig::default()),
            reduction: Reduction::Sum,
        }
    }
}

/// The reduction of the anchors' losses to the number that is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// The sum over anchors, as published. Relative to the mean, it changes the effect of weight
    /// decay.
    Sum,
    /// The mean over the anchors that have a positive and a negative.
    Mean,
}

impl TryFrom<toml::Table> for LossConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let message = |error: toml::de::Error| error.message().to_string();
        let reduction = match table.remove("reduction") {
            Some(value) => value.try_into().map_err(message)?,
            None => Reduction::Sum,
        };
        if !table.contains_key("name") {
            table.insert("name".into(), HphnTripletLossConfig::NAME.into());
        }
        Ok(Self {
            kind: table.try_into().map_err(message)?,
            reduction,
        })
    }
}

impl LossConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range or excludes another. The error names the first such key.
    pub fn check(&self) -> Checked {
        self.kind.check()
    }
}
