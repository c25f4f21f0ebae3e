//! The benchmark of a loss: normalisation, negatives, loss and gradient of a batch of embeddings.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Int, Tensor};
use serde::Serialize;

use super::{BenchError, median_ms, repetitions};
use crate::loss::LossKind;
use crate::model::unit_length;
use crate::negatives::NegativesConfig;
use crate::negatives::Space;
use crate::process_memory::{peak_mib, reset_peak};
use crate::progress::{Monitor, Unit};

/// The benchmark of a loss.
#[derive(Debug, Clone)]
pub struct LossBenchmark {
    /// The loss.
    pub loss: LossKind,
    /// The negatives.
    pub negatives: NegativesConfig,
    /// The space of the embeddings. On the sphere, scaling them to unit length is timed too.
    pub space: Space,
    /// Number of embeddings, a multiple of `images_per_class`. The memory grows with its square: see
    /// [`pairwise_gib`](crate::loss::pairwise_gib).
    pub batch: usize,
    /// Images of each class, an even number if the negatives pair images.
    pub images_per_class: usize,
    /// Dimension of an embedding.
    pub dim: usize,
    /// Repetitions that are timed.
    pub repeats: usize,
}

/// The results of a [`LossBenchmark`].
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LossTiming {
    /// Median time of one forward and backward pass.
    pub milliseconds: f64,
    /// Peak memory of the process in MiB, including the program; `None` if unknown. It is the host's
    /// memory, not a GPU's.
    pub peak_mib: Option<f64>,
}

impl LossBenchmark {
    /// Returns a benchmark of every loss with every type of negatives, with default parameters and two
    /// images of each class.
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

    /// Times one forward and backward pass. The embeddings are normally distributed around the centres
    /// of their classes, with a standard deviation 0.8 times that of the centres.
    ///
    /// # Errors
    /// If a stop was requested. This is checked between repetitions.
    pub fn run<B: AutodiffBackend>(
        &self,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<LossTiming, BenchError> {
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
        let negatives = self.negatives.init(Some(self.images_per_class));
        let loss = self.loss.init();

        let name = format!("timing {}", self.loss.name());
        let total = repetitions(self.repeats);
        let task = monitor.task(name, Some(total), Unit::Repetitions);
        reset_peak();
        let milliseconds = median_ms::<B>(device, self.repeats, &task, || {
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
        })?;
        task.finish();
        Ok(LossTiming {
            milliseconds,
            peak_mib: peak_mib(),
        })
    }
}
