//! The choice among the negatives strategies.

use burn::tensor::{Int, Tensor, backend::Backend};

use super::comparisons::Comparisons;
use super::loop_::LoopNegatives;
use super::space::Space;
use super::{embedding_expansion, loop_, none};
use crate::geometry::Measure;

/// A negatives strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negatives {
    /// Negatives are the images of other classes; every image is an anchor.
    None,
    /// Embedding Expansion: negatives are the images of other classes and points between two images
    /// of a class; every image is an anchor.
    EmbeddingExpansion {
        /// n, the inner points between two images, at least 1 (2 in the published recipe).
        points: usize,
    },
    /// LoOp: negatives are the closest points of the curve between two images of a class and the
    /// curve between two images of another; as published, every pair of images is an anchor.
    Loop(LoopNegatives),
}

impl Negatives {
    /// Compares every anchor of a batch with its positives and its negatives.
    ///
    /// For [`EmbeddingExpansion`](Self::EmbeddingExpansion) and [`Loop`](Self::Loop) with
    /// [consecutive pairs](super::LoopPairs::Consecutive), rows 2i and 2i + 1 are a pair if they are of one class.
    ///
    /// # Shapes
    /// - embeddings: \[N, D\], finite, and of unit length on the [sphere](Space::Sphere)
    /// - labels: \[N\], the class of each row
    ///
    /// # Panics
    /// If the numbers of embeddings and labels differ, if N is odd and the strategy pairs rows 2i and
    /// 2i + 1, if N is not a multiple of a given number of images per class, or if the number of inner points is 0.
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
            Self::Loop(variant) => loop_::compare(embeddings, labels, variant, space, measure),
        }
    }
}
