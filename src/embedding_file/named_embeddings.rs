//! Embeddings of named images, in memory.

/// Embeddings of named images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedEmbeddings {
    /// The embeddings \[N, D\], row by row.
    pub rows: Vec<f32>,
    /// The dimension D of an embedding.
    pub dim: usize,
    /// The class of each row, an index into `classes`, or [`NO_CLASS`](super::NO_CLASS).
    pub labels: Vec<i64>,
    /// The name of each image.
    pub paths: Vec<String>,
    /// The names of the classes.
    pub classes: Vec<String>,
}
