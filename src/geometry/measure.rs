//! What two embeddings are compared by.

/// What two points are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Their Euclidean distance: the nearer, the more alike.
    Distance,
    /// Their inner product: the larger, the more alike.
    InnerProduct,
}
