//! Where negatives are looked for: a batch of embeddings and labels becomes [`Comparisons`], which
//! every loss takes.
//!
//! One file for each way. Nothing is copied from the device and no loop runs over anchors.

mod comparisons;
mod config;
mod embedding_expansion;
mod loop_;
pub(crate) mod masked;
mod none;

pub use comparisons::Comparisons;
pub use config::{EmbeddingExpansionConfig, NegativesConfig};

use burn::tensor::{Int, Tensor, backend::Backend};

use crate::geometry::Measure;

/// A way of looking for negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negatives {
    /// Among the images' own embeddings; every image is an anchor.
    None,
    /// Embedding Expansion: also among points between two images of a class; every image is an
    /// anchor.
    EmbeddingExpansion {
        /// n, the inner points between two images, at least 1 (2 in the published recipe).
        points: usize,
    },
    /// LoOp: the closest approach of the curve between two images of a class and the curve between
    /// two images of another; every pair of images is an anchor.
    Loop,
}

/// Where embeddings lie, and with it what lies between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// On the unit sphere: embeddings are scaled to unit length. Between two of them lies an arc of
    /// a great circle, and inner points are scaled to unit length too.
    Sphere,
    /// Anywhere. Between two embeddings lies a straight segment.
    Euclidean,
}

impl Negatives {
    /// Compares every anchor of a batch with its positives and its negatives.
    ///
    /// Under [`EmbeddingExpansion`](Self::EmbeddingExpansion) and [`Loop`](Self::Loop) rows 2i and
    /// 2i + 1 are a pair, if they are of one class.
    ///
    /// # Shapes
    /// - embeddings: \[N, D\], finite, and of unit length on the [sphere](Space::Sphere)
    /// - labels: \[N\], the class of each row
    ///
    /// # Panics
    /// If the embeddings are not one row for each label, if rows go in pairs and N is odd, or if
    /// there are no inner points to look at.
    pub fn compare<B: Backend>(
        &self,
        embeddings: Tensor<B, 2>,
        labels: Tensor<B, 1, Int>,
        space: Space,
        measure: Measure,
    ) -> Comparisons<B> {
        let [rows] = labels.dims();
        assert_eq!(
            embeddings.dims()[0],
            rows,
            "a batch has one label for each embedding"
        );
        match *self {
            Self::None => none::compare(embeddings, labels, measure),
            Self::EmbeddingExpansion { points } => {
                embedding_expansion::compare(embeddings, labels, points, space, measure)
            }
            Self::Loop => loop_::compare(embeddings, labels, space, measure),
        }
    }
}
