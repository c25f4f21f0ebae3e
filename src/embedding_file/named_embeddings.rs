//! Embeddings of named images, in memory.

use super::embeddings::Embeddings;

/// Embeddings of named images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedEmbeddings {
    /// The embeddings \[N, D\], row by row.
    pub rows: Vec<f32>,
    /// The dimension D of an embedding.
    pub dim: usize,
    /// The class of each row, an index into `classes`, or [`NO_CLASS`](super::NO_CLASS).
    pub labels: Vec<i64>,
    /// The name of each image; empty if it is not known.
    pub paths: Vec<String>,
    /// The names of the classes. Empty if the labels are numbers without names.
    pub classes: Vec<String>,
}

impl From<Embeddings> for NamedEmbeddings {
    fn from(file: Embeddings) -> Self {
        let unknown = vec![String::new(); file.labels.len()];
        Self {
            rows: file.rows,
            dim: file.dim,
            labels: file.labels,
            paths: file.paths.unwrap_or(unknown),
            classes: file.classes.unwrap_or_default(),
        }
    }
}
