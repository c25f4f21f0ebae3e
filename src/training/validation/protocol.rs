//! How a split is evaluated.

use crate::config::EvaluationConfig;
use crate::data::Split;
use crate::evaluation::Role;

/// How a split is evaluated.
#[derive(Debug, Clone, Default)]
pub struct RetrievalProtocol {
    /// The K of Recall@K.
    pub recall: Vec<usize>,
    /// Whether the embeddings of an image and its mirror image are averaged.
    pub mirror: bool,
    /// The role of each image of the split; `None` if every image is both a query and in the gallery.
    pub roles: Option<Vec<Role>>,
}

impl RetrievalProtocol {
    /// The protocol of a configuration for `split`.
    pub fn new(config: &EvaluationConfig, split: &Split) -> Self {
        Self {
            recall: config.recall.clone(),
            mirror: config.mirror,
            roles: split.roles().map(<[_]>::to_vec),
        }
    }
}
