//! `[negatives]`: the negatives strategy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::strategy::Negatives;
use crate::setting::{Checked, at_least, at_most};

/// `[negatives]`: the negatives strategy. Default [`Loop`](Self::Loop).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NegativesConfig {
    // With braces: serde accepts unknown keys for unit variants.
    /// The images of other classes.
    None {},
    /// Embedding Expansion: also points between two images of a class.
    EmbeddingExpansion(EmbeddingExpansionConfig),
    /// LoOp: the closest points of the curve between two images of a class and the curve between
    /// two images of another.
    Loop {},
}

impl Default for NegativesConfig {
    fn default() -> Self {
        Self::Loop {}
    }
}

impl NegativesConfig {
    /// Returns every strategy with its defaults.
    pub fn all() -> [Self; 3] {
        [
            Self::None {},
            Self::EmbeddingExpansion(Default::default()),
            Self::Loop {},
        ]
    }

    /// The name of every strategy in the configuration.
    pub const NAMES: [&'static str; 3] = ["none", "embedding-expansion", "loop"];

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::EmbeddingExpansion(_) => "embedding-expansion",
            Self::Loop {} => "loop",
        }
    }

    /// Initialises the strategy.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingExpansionConfig {
    /// n, the inner points between two images of a class, 1 to 64. Default 2, as published.
    #[schemars(range(min = 1, max = 64))]
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
    /// If a value is out of range.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_read_by_its_name() {
        for (strategy, name) in NegativesConfig::all()
            .into_iter()
            .zip(NegativesConfig::NAMES)
        {
            assert_eq!(strategy.name(), name);
            let read: NegativesConfig = toml::from_str(&format!("name = \"{name}\"")).unwrap();
            assert_eq!(read, strategy);
        }
    }
}
