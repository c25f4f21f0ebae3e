//! `[loss]`: the loss with its keys, and the reduction over anchors.

use serde::{Deserialize, Serialize};

use super::{
    HphnTripletLossConfig, LiftedStructureLossConfig, Loss, MultiSimilarityLossConfig,
    NPairLossConfig, TripletLossConfig, Triplets,
};
use crate::negatives::Space;
use crate::setting::{Checked, SettingError, finite, not_negative, positive};

/// `[loss]`: the loss and the keys of its own, and how per-anchor losses become one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct LossConfig {
    /// The loss and its keys.
    #[serde(flatten)]
    pub kind: LossKind,
    /// Whether the gradient is that of the sum over anchors, as published, or of their mean.
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

/// `loss.name` and the keys that only this loss has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum LossKind {
    /// Triplet.
    Triplet(TripletLossConfig),
    /// Hard positive, hard negative triplet.
    HphnTriplet(HphnTripletLossConfig),
    /// Lifted structure.
    LiftedStructure(LiftedStructureLossConfig),
    /// N-pair, which by default does without embeddings of unit length.
    NPair(NPairLossConfig),
    /// Multi-similarity.
    MultiSimilarity(MultiSimilarityLossConfig),
}

impl LossKind {
    /// Initialises the loss.
    pub fn init(&self) -> Loss {
        match self {
            Self::Triplet(config) => Loss::Triplet(config.init()),
            Self::HphnTriplet(config) => Loss::HphnTriplet(config.init()),
            Self::LiftedStructure(config) => Loss::LiftedStructure(config.init()),
            Self::NPair(config) => Loss::NPair(config.init()),
            Self::MultiSimilarity(config) => Loss::MultiSimilarity(config.init()),
        }
    }

    /// Every loss with its defaults.
    pub fn all() -> [Self; 5] {
        [
            Self::Triplet(Default::default()),
            Self::HphnTriplet(Default::default()),
            Self::LiftedStructure(Default::default()),
            Self::NPair(Default::default()),
            Self::MultiSimilarity(Default::default()),
        ]
    }

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Triplet(_) => "triplet",
            Self::HphnTriplet(_) => "hphn-triplet",
            Self::LiftedStructure(_) => "lifted-structure",
            Self::NPair(_) => "n-pair",
            Self::MultiSimilarity(_) => "multi-similarity",
        }
    }

    /// Where embeddings lie unless `model.normalize` says otherwise: all losses but N-pair are
    /// published on the sphere.
    pub fn space(&self) -> Space {
        match self {
            Self::NPair(_) => Space::Euclidean,
            _ => Space::Sphere,
        }
    }
}

/// How the anchors' losses become the number whose gradient is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Sum over anchors, as published; it matters beside weight decay.
    Sum,
    /// Mean over the anchors that have a positive and a negative.
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
            table.insert("name".into(), "hphn-triplet".into());
        }
        Ok(Self {
            kind: table.try_into().map_err(message)?,
            reduction,
        })
    }
}

impl LossConfig {
    /// Checks every value by itself and against the others.
    ///
    /// # Errors
    ///
    /// The first value that cannot be trained with, and what to give instead.
    pub fn check(&self) -> Checked {
        match &self.kind {
            LossKind::Triplet(loss) => {
                not_negative("loss.margin", loss.margin)?;
                if loss.soft_margin && loss.triplets == Triplets::All {
                    return Err(SettingError::value(
                        "loss.soft_margin",
                        true,
                        "loss.triplets = \"all\" is summed with the hinge only; leave the soft \
                         margin out, or take other triplets",
                    ));
                }
            }
            LossKind::HphnTriplet(loss) => not_negative("loss.margin", loss.margin)?,
            LossKind::LiftedStructure(loss) => finite("loss.margin", loss.margin)?,
            LossKind::NPair(loss) => not_negative("loss.l2_penalty", loss.l2_penalty)?,
            LossKind::MultiSimilarity(loss) => {
                positive("loss.alpha", loss.alpha)?;
                positive("loss.beta", loss.beta)?;
                finite("loss.base", loss.base)?;
                finite("loss.epsilon", loss.epsilon)?;
            }
        }
        Ok(())
    }
}
