//! The list of losses.
//!
//! To add a loss, write its file and add one line to the list at the end of this file. The file
//! defines:
//!
//! - `…LossConfig`: the keys of the loss with documented defaults, `NAME` (`loss.name` in the
//!   configuration), `SPACE` (the default space of the embeddings), `check` (the ranges of the
//!   values) and `init`;
//! - `…Loss`: `MEASURE` (distances or inner products), `forward` and `forward_no_reduction`;
//! - a value test and a gradient test.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contrastive::{ContrastiveLoss, ContrastiveLossConfig};
use super::hphn_triplet::{HphnTripletLoss, HphnTripletLossConfig};
use super::lifted_structure::{LiftedStructureLoss, LiftedStructureLossConfig};
use super::multi_similarity::{MultiSimilarityLoss, MultiSimilarityLossConfig};
use super::n_pair::{NPairLoss, NPairLossConfig};
use super::output::LossOutput;
use super::triplet::{TripletLoss, TripletLossConfig};
use crate::geometry::Measure;
use crate::negatives::{Comparisons, Space};
use crate::setting::Checked;

/// Defines [`LossKind`] and [`Loss`] from one line per loss.
macro_rules! losses {
    ($($(#[$doc:meta])* $kind:ident($config:ident => $loss:ident),)+) => {
        /// `loss.name` and the keys of that loss.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "name", rename_all = "kebab-case")]
        pub enum LossKind {
            $($(#[$doc])* $kind($config),)+
        }

        impl LossKind {
            /// The name of every loss in the configuration.
            pub const NAMES: [&'static str; [$($config::NAME),+].len()] = [$($config::NAME),+];

            /// Returns every loss with its defaults.
            pub fn all() -> [Self; Self::NAMES.len()] {
                [$(Self::$kind($config::default())),+]
            }

            /// The name in the configuration.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $config::NAME,)+
                }
            }

            /// The space of the embeddings if `model.normalize` is not set.
            pub fn space(&self) -> Space {
                match self {
                    $(Self::$kind(_) => $config::SPACE,)+
                }
            }

            /// Checks every value of the loss.
            ///
            /// # Errors
            /// If a value is out of range or excludes another. The error names the first such key.
            pub fn check(&self) -> Checked {
                match self {
                    $(Self::$kind(config) => config.check(),)+
                }
            }

            /// Initialises the loss.
            pub fn init(&self) -> Loss {
                match self {
                    $(Self::$kind(config) => Loss::$kind(config.init()),)+
                }
            }
        }

        /// Any of the losses.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Loss {
            $($(#[$doc])* $kind($loss),)+
        }

        impl Loss {
            /// The measure of the comparisons that the loss takes, for
            /// [`Negatives::compare`](crate::negatives::Negatives::compare).
            pub fn measure(&self) -> Measure {
                match self {
                    $(Self::$kind(_) => $loss::MEASURE,)+
                }
            }

            /// Computes the loss of every anchor, with its reductions and statistics.
            ///
            /// # Panics
            /// If the comparisons are not of the loss's [measure](Self::measure).
            pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
                match self {
                    $(Self::$kind(loss) => loss.forward(comparisons),)+
                }
            }

            /// Computes the loss of every anchor, \[A\]; 0 for an anchor that is not counted.
            ///
            /// # Panics
            /// If the comparisons are not of the loss's [measure](Self::measure).
            pub fn forward_no_reduction<B: Backend>(
                &self,
                comparisons: Comparisons<B>,
            ) -> Tensor<B, 1> {
                match self {
                    $(Self::$kind(loss) => loss.forward_no_reduction(comparisons),)+
                }
            }
        }
    };
}

losses! {
    /// Triplet: each positive of an anchor against one or all of its negatives.
    Triplet(TripletLossConfig => TripletLoss),
    /// Hard positive, hard negative triplet: the hardest positive of each anchor against its hardest negative
    /// ("batch hard").
    HphnTriplet(HphnTripletLossConfig => HphnTripletLoss),
    /// Lifted structure: each positive against a smooth minimum of all negative distances.
    LiftedStructure(LiftedStructureLossConfig => LiftedStructureLoss),
    /// N-pair: each positive against all negatives, by a softmax of inner products.
    NPair(NPairLossConfig => NPairLoss),
    /// Multi-similarity: mined positives and negatives, weighted by their inner products.
    MultiSimilarity(MultiSimilarityLossConfig => MultiSimilarityLoss),
    /// Contrastive: positives nearer than one margin, negatives farther than another.
    Contrastive(ContrastiveLossConfig => ContrastiveLoss),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_read_by_its_name() {
        for (loss, name) in LossKind::all().into_iter().zip(LossKind::NAMES) {
            assert_eq!(loss.name(), name);
            let read: LossKind = toml::from_str(&format!("name = \"{name}\"")).unwrap();
            assert_eq!(read, loss);
        }
    }

    #[test]
    fn defaults_of_every_loss_are_in_range() {
        for loss in LossKind::all() {
            loss.check().unwrap();
        }
    }
}
