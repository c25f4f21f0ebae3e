//! The measure of similarity of two embeddings.

/// The measure of similarity of two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Euclidean distance: smaller means more similar.
    Distance,
    /// Inner product: larger means more similar.
    InnerProduct,
}
