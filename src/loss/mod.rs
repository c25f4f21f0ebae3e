//! Losses of deep metric learning, one file each: [`Comparisons`] → [`LossOutput`].

mod hphn_triplet;
mod output;

pub use hphn_triplet::{HphnTripletLoss, HphnTripletLossConfig};
pub use output::{LossOutput, LossStatistics};

use burn::tensor::backend::Backend;

use crate::negatives::Comparisons;

/// Any of the losses.
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// Hard positive, hard negative triplet.
    HphnTriplet(HphnTripletLoss),
}

impl Loss {
    /// The loss of every anchor.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        match self {
            Self::HphnTriplet(loss) => loss.forward(comparisons),
        }
    }
}
