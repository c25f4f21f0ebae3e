//! The space of the embeddings.

/// The space of the embeddings, which determines the curve between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The unit sphere: embeddings are scaled to unit length. The curve between two embeddings is an
    /// arc of a great circle, and inner points are scaled to unit length too.
    Sphere,
    /// Euclidean space: embeddings are not scaled. The curve between two embeddings is a straight
    /// segment.
    Euclidean,
}
