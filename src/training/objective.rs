//! What a network is trained to minimise.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor};

use crate::config::Config;
use crate::loss::{Loss, Reduction};
use crate::negatives::{Negatives, Space};

/// The loss with its negatives and reduction.
#[derive(Debug, Clone)]
pub struct Objective {
    negatives: Negatives,
    space: Space,
    loss: Loss,
    reduction: Reduction,
}

impl Objective {
    /// The objective of a configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            negatives: config.negatives.init(Some(config.batch.images_per_class)),
            space: config.model.space(),
            loss: config.loss.kind.init(),
            reduction: config.loss.reduction,
        }
    }

    /// The loss of a batch, and its packed statistics on the device
    /// ([`LossStatistics::from_data`](crate::loss::LossStatistics::from_data)).
    ///
    /// # Shapes
    /// - embeddings: \[N, D\]
    /// - labels: \[N\]
    /// - loss: \[1\]
    pub(super) fn forward<B: AutodiffBackend>(
        &self,
        embeddings: Tensor<B, 2>,
        labels: Tensor<B, 1, Int>,
    ) -> (Tensor<B, 1>, Tensor<B::InnerBackend, 1>) {
        let measure = self.loss.measure();
        let comparisons = self
            .negatives
            .compare(embeddings, labels, self.space, measure);
        let output = self.loss.forward(comparisons);
        let statistics = output.statistics().inner();
        let loss = match self.reduction {
            Reduction::Sum => output.sum(),
            Reduction::Mean => output.mean(),
        };
        (loss, statistics)
    }
}
