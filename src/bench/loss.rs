//! The loss alone: normalisation, negatives, loss and gradient of a batch of embeddings.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Int, Tensor};
use serde::Serialize;

use super::median_ms;
use super::memory::{peak_mib, reset_peak};
use crate::loss::LossKind;
use crate::model::unit_length;
use crate::negatives::NegativesConfig;
use crate::negatives::Space;

/// What is timed.
#[derive(Debug, Clone)]
pub struct LossBenchmark {
    /// The loss.
    pub loss: LossKind,
    /// Where its negatives are looked for.
    pub negatives: NegativesConfig,
    /// Where the embeddings lie; on the sphere they are scaled to unit length as part of the work.
    pub space: Space,
    /// Embeddings, a multiple of `images_per_class`.
    pub batch: usize,
    /// Images of each class, even.
    pub images_per_class: usize,
    /// Length of an embedding.
    pub dim: usize,
    /// Repetitions that count.
    pub repeats: usize,
}

/// What it took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LossTiming {
    /// Median time of one forward and backward pass.
    pub milliseconds: f64,
    /// The most memory that the process held meanwhile, in MiB, the program itself included; not
    /// known where the system does not say. It is the host's, not a GPU's.
    pub peak_mib: Option<f64>,
}

impl LossBenchmark {
    /// Every loss with every way of looking for negatives, each with its defaults, in batches of two
    /// images a class.
    pub fn all(batch: usize, dim: usize, repeats: usize) -> Vec<Self> {
        let losses = LossKind::all();
        let with_loss = |loss: LossKind| {
            NegativesConfig::all().map(|negatives| Self {
                space: loss.space(),
                loss: loss.clone(),
                negatives,
                batch,
                images_per_class: 2,
                dim,
                repeats,
            })
        };
        losses.into_iter().flat_map(with_loss).collect()
    }

    /// Times one forward and backward pass over embeddings that scatter around their classes'
    /// centres with a standard deviation of 0.8 of the centres' own.
    pub fn run<B: AutodiffBackend>(&self, device: &B::Device) -> LossTiming {
        B::seed(device, 0);
        let classes = self.batch / self.images_per_class;
        let n = classes * self.images_per_class;
        let normal = Distribution::Normal(0.0, 1.0);
        let centres = Tensor::<B, 3>::random([classes, 1, self.dim], normal, device);
        let scatter = [classes, self.images_per_class, self.dim];
        let scatter = Tensor::<B, 3>::random(scatter, normal, device) * 0.8;
        let embeddings = (centres + scatter).reshape([n, self.dim]).detach();
        let labels: Vec<i32> = (0..n).map(|i| (i / self.images_per_class) as i32).collect();
        let labels = Tensor::<B, 1, Int>::from_ints(labels.as_slice(), device);
        let negatives = self.negatives.init();
        let loss = self.loss.init();

        reset_peak();
        let milliseconds = median_ms::<B>(device, self.repeats, || {
            let embeddings = embeddings.clone().require_grad();
            let rows = match self.space {
                Space::Sphere => unit_length(embeddings.clone()),
                Space::Euclidean => embeddings.clone(),
            };
            let comparisons = negatives.compare(rows, labels.clone(), self.space, loss.measure());
            let gradients = loss.forward(comparisons).mean().backward();
            embeddings
                .grad(&gradients)
                .expect("the loss depends on the embeddings");
        });
        LossTiming {
            milliseconds,
            peak_mib: peak_mib(),
        }
    }
}
