//! Losses of deep metric learning, one file each: [`Comparisons`](crate::negatives::Comparisons) →
//! [`LossOutput`].
//!
//! [`LossKind`] and [`Loss`] list the losses; `kind.rs` says how to add one.

#[cfg(test)]
mod combinations;
mod config;
mod contrastive;
#[cfg(test)]
mod golden;
mod hardest;
mod hinge;
mod hphn_triplet;
mod kind;
mod lifted_structure;
mod masked;
mod multi_similarity;
mod n_pair;
#[cfg(test)]
mod oracle;
mod output;
mod pairwise_memory;
mod ranked;
#[cfg(test)]
mod test_values;
mod triplet;
mod triplet_blocks;

pub use config::{LossConfig, Reduction};
pub use contrastive::{ContrastiveLoss, ContrastiveLossConfig};
pub use hphn_triplet::{HphnTripletLoss, HphnTripletLossConfig};
pub use kind::{Loss, LossKind};
pub use lifted_structure::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use multi_similarity::{
    MultiSimilarityDefaults, MultiSimilarityLoss, MultiSimilarityLossConfig,
};
pub use n_pair::{NPairLoss, NPairLossConfig};
pub use output::{LossOutput, LossStatistics};
pub use pairwise_memory::{MAXIMUM_BATCH, check_all_pairs, pairwise_gib, pairwise_mib};
pub use triplet::{TripletLoss, TripletLossConfig, Triplets};
