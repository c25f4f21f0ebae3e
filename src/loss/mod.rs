//! Losses of deep metric learning, one file each: [`Comparisons`] → [`LossOutput`].

#[cfg(test)]
mod combinations;
mod config;
#[cfg(test)]
mod golden;
mod hardest;
mod hphn_triplet;
mod lifted_structure;
mod multi_similarity;
mod n_pair;
#[cfg(test)]
mod oracle;
mod output;
mod triplet;

pub use config::{LossConfig, LossKind, Reduction};
pub use hphn_triplet::{HphnTripletLoss, HphnTripletLossConfig};
pub use lifted_structure::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use multi_similarity::{
    MultiSimilarityDefaults, MultiSimilarityLoss, MultiSimilarityLossConfig,
};
pub use n_pair::{NPairLoss, NPairLossConfig};
pub use output::{LossOutput, LossStatistics};
pub use triplet::{TripletLoss, TripletLossConfig, Triplets};

use burn::tensor::backend::Backend;

use crate::geometry::Measure;
use crate::negatives::Comparisons;

/// Any of the losses.
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// Triplet.
    Triplet(TripletLoss),
    /// Hard positive, hard negative triplet.
    HphnTriplet(HphnTripletLoss),
    /// Lifted structure.
    LiftedStructure(LiftedStructureLoss),
    /// N-pair.
    NPair(NPairLoss),
    /// Multi-similarity.
    MultiSimilarity(MultiSimilarityLoss),
}

impl Loss {
    /// What the loss compares by, for [`Negatives::compare`](crate::negatives::Negatives::compare).
    pub fn measure(&self) -> Measure {
        match self {
            Self::Triplet(_) | Self::HphnTriplet(_) | Self::LiftedStructure(_) => Measure::Distance,
            Self::NPair(_) | Self::MultiSimilarity(_) => Measure::InnerProduct,
        }
    }

    /// The loss of every anchor.
    ///
    /// # Panics
    /// If the comparisons are not of the loss's [measure](Self::measure).
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        match self {
            Self::Triplet(loss) => loss.forward(comparisons),
            Self::HphnTriplet(loss) => loss.forward(comparisons),
            Self::LiftedStructure(loss) => loss.forward(comparisons),
            Self::NPair(loss) => loss.forward(comparisons),
            Self::MultiSimilarity(loss) => loss.forward(comparisons),
        }
    }
}
