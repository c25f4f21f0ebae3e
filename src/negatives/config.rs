//! `[negatives]`: the negatives strategy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loop_::{LoopAnchors, LoopNegatives, LoopPairs};
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
    Loop(LoopConfig),
}

impl Default for NegativesConfig {
    fn default() -> Self {
        Self::Loop(LoopConfig::default())
    }
}

impl NegativesConfig {
    /// Returns every strategy with its defaults.
    pub fn all() -> [Self; 3] {
        [
            Self::None {},
            Self::EmbeddingExpansion(Default::default()),
            Self::Loop(Default::default()),
        ]
    }

    /// The name of every strategy in the configuration.
    pub const NAMES: [&'static str; 3] = ["none", "embedding-expansion", "loop"];

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::EmbeddingExpansion(_) => "embedding-expansion",
            Self::Loop(_) => "loop",
        }
    }

    /// The name, followed by the variant of LoOp if it is not the published one, such as
    /// `loop (all pairs, images as anchors)`.
    pub fn description(&self) -> String {
        let Self::Loop(config) = self else {
            return self.name().into();
        };
        let pairs = match config.pairs {
            LoopPairs::Consecutive => None,
            LoopPairs::All => Some("all pairs"),
        };
        let anchors = match config.anchors {
            LoopAnchors::Pairs => None,
            LoopAnchors::Images => Some("images as anchors"),
            LoopAnchors::Points => Some("points as anchors"),
        };
        let variant: Vec<&str> = pairs.into_iter().chain(anchors).collect();
        match variant.is_empty() {
            true => self.name().into(),
            false => format!("{} ({})", self.name(), variant.join(", ")),
        }
    }

    /// The keys of LoOp, if this is LoOp.
    pub fn variant(&self) -> Option<LoopConfig> {
        match self {
            Self::Loop(config) => Some(config.clone()),
            _ => None,
        }
    }

    /// Whether rows 2i and 2i + 1 of a batch are a pair, so that every class needs an even number of images.
    pub fn pairs_consecutive_rows(&self) -> bool {
        match self {
            Self::None {} => false,
            Self::EmbeddingExpansion(_) => true,
            Self::Loop(config) => config.pairs == LoopPairs::Consecutive,
        }
    }

    /// The number of pairs of a batch whose classes have these numbers of images, if LoOp compares all of them.
    pub fn all_pairs(&self, class_sizes: impl Iterator<Item = usize>) -> Option<usize> {
        match self {
            Self::Loop(config) if config.pairs == LoopPairs::All => {
                let pairs = |images: usize| images.saturating_mul(images.saturating_sub(1)) / 2;
                Some(class_sizes.map(pairs).fold(0, usize::saturating_add))
            }
            _ => None,
        }
    }

    /// Initialises the strategy. `images_per_class` is that of [`LoopNegatives`].
    pub fn init(&self, images_per_class: Option<usize>) -> Negatives {
        match self {
            Self::None {} => Negatives::None,
            Self::EmbeddingExpansion(config) => Negatives::EmbeddingExpansion {
                points: config.points,
            },
            Self::Loop(config) => Negatives::Loop(LoopNegatives {
                pairs: config.pairs,
                anchors: config.anchors,
                images_per_class,
            }),
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

/// Keys of `name = "loop"`. The defaults are as published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// The pairs of images with a curve between them. The variants are ours. Default consecutive, as published.
    pub pairs: LoopPairs,
    /// The anchors. The variants are ours. Default pairs, as published.
    pub anchors: LoopAnchors,
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
            Self::None {} | Self::Loop(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_loop_are_read_and_described() {
        for (text, description) in [
            ("", "loop"),
            ("pairs = \"consecutive\"\nanchors = \"pairs\"", "loop"),
            ("pairs = \"all\"", "loop (all pairs)"),
            ("anchors = \"points\"", "loop (points as anchors)"),
            (
                "pairs = \"all\"\nanchors = \"images\"",
                "loop (all pairs, images as anchors)",
            ),
        ] {
            let read: NegativesConfig =
                toml::from_str(&format!("name = \"loop\"\n{text}")).unwrap();
            assert_eq!(read.description(), description);
            let written = toml::to_string(&read).unwrap();
            assert_eq!(toml::from_str::<NegativesConfig>(&written).unwrap(), read);
        }
    }

    #[test]
    fn names_of_the_variants_are_those_of_the_configuration() {
        for pairs in LoopPairs::NAMES {
            let read: LoopPairs = toml::Value::from(pairs).try_into().unwrap();
            assert_eq!(toml::Value::try_from(read).unwrap(), pairs.into());
        }
        for anchors in LoopAnchors::NAMES {
            let read: LoopAnchors = toml::Value::from(anchors).try_into().unwrap();
            assert_eq!(toml::Value::try_from(read).unwrap(), anchors.into());
        }
    }

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
