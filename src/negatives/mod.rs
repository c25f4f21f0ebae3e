//! Where negatives are looked for: a batch of embeddings and labels becomes [`Comparisons`], which
//! every loss takes.
//!
//! One file for each way. Nothing is copied from the device and no loop runs over anchors.

mod comparisons;
mod loop_;
pub(crate) mod masked;
mod none;

pub use comparisons::Comparisons;

use burn::tensor::{Int, Tensor, backend::Backend};

/// A way of looking for negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negatives {
    /// Among the images' own embeddings; every image is an anchor.
    None,
    /// LoOp: the closest approach of the arc between two images of a class and the arc between two
    /// images of another; every pair of images is an anchor.
    Loop,
}

impl Negatives {
    /// Compares every anchor of a batch with its positives and its negatives.
    ///
    /// # Shapes
    /// - embeddings: \[N, D\], finite. For [`Loop`](Self::Loop) only their directions count, and
    ///   rows 2i and 2i + 1 are a pair.
    /// - labels: \[N\], the class of each row
    ///
    /// # Panics
    /// If the embeddings are not one row for each label, or under [`Loop`](Self::Loop) if N is odd.
    pub fn compare<B: Backend>(
        &self,
        embeddings: Tensor<B, 2>,
        labels: Tensor<B, 1, Int>,
    ) -> Comparisons<B> {
        let [rows] = labels.dims();
        assert_eq!(
            embeddings.dims()[0],
            rows,
            "a batch has one label for each embedding"
        );
        match self {
            Self::None => none::compare(embeddings, labels),
            Self::Loop => loop_::compare(embeddings, labels),
        }
    }
}
