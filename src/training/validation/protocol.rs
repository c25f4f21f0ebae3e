//! How a split is evaluated.

use crate::config::EvaluationConfig;
use crate::data::Split;
use crate::evaluation::{Role, searched_images};

/// How a split is evaluated.
#[derive(Debug, Clone, Default)]
pub struct RetrievalProtocol {
    /// The K of Recall@K, at most the number of images among which a query is searched: for larger ones it is 1
    /// by construction.
    pub recall: Vec<usize>,
    /// Whether the embeddings of an image and its mirror image are averaged.
    pub mirror: bool,
    /// The role of each image of the split; `None` if every image is both a query and in the gallery.
    pub roles: Option<Vec<Role>>,
}

impl RetrievalProtocol {
    /// The protocol of a configuration for `split`.
    pub fn new(config: &EvaluationConfig, split: &Split) -> Self {
        let searched = searched_images(split.labels().len(), split.roles());
        let within = |k: &usize| *k <= searched;
        Self {
            recall: config.recall.iter().copied().filter(within).collect(),
            mirror: config.mirror,
            roles: split.roles().map(<[_]>::to_vec),
        }
    }
}
