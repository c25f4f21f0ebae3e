//! `[negatives]`: where negatives are looked for.

use serde::{Deserialize, Serialize};

use super::Negatives;
use crate::setting::{Checked, at_least, at_most};

/// `[negatives]`: where negatives are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NegativesConfig {
    // Variants with braces, without which serde would let any key pass.
    /// Among the images' own embeddings.
    None {},
    /// Embedding Expansion: also among points between two images of a class.
    EmbeddingExpansion(EmbeddingExpansionConfig),
    /// LoOp: the closest approach of the curve between two images of a class and the curve between
    /// two images of another.
    Loop {},
}

impl Default for NegativesConfig {
    fn default() -> Self {
        Self::Loop {}
    }
}

impl NegativesConfig {
    /// Every way with its defaults.
    pub fn all() -> [Self; 3] {
        [
            Self::None {},
            Self::EmbeddingExpansion(Default::default()),
            Self::Loop {},
        ]
    }

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::EmbeddingExpansion(_) => "embedding-expansion",
            Self::Loop {} => "loop",
        }
    }

    /// Initialises the way of looking for negatives.
    pub fn init(&self) -> Negatives {
        match self {
            Self::None {} => Negatives::None,
            Self::EmbeddingExpansion(config) => Negatives::EmbeddingExpansion {
                points: config.points,
            },
            Self::Loop {} => Negatives::Loop,
        }
    }
}

/// Keys of `name = "embedding-expansion"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingExpansionConfig {
    /// n, the inner points between two images of a class, 1 to 64 (2 published).
    pub points: usize,
}

impl Default for EmbeddingExpansionConfig {
    fn default() -> Self {
        Self { points: 2 }
    }
}

impl NegativesConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first value out of its range, and what to give instead.
    pub fn check(&self) -> Checked {
        match self {
            Self::EmbeddingExpansion(config) => {
                at_least("negatives.points", config.points, 1)?;
                at_most("negatives.points", config.points, 64)
            }
            Self::None {} | Self::Loop {} => Ok(()),
        }
    }
}
