//! The benchmark of k-means.

use std::time::Instant;

use burn::tensor::backend::Backend;
use serde::Serialize;

use super::{BenchError, DrawnEmbeddings, synchronise};
use crate::evaluation::{ClusterAgreement, KMeans};
use crate::process_memory::{peak_mib, reset_peak};
use crate::progress::Monitor;

/// The time and the results of a clustering into as many clusters as there are classes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ClusteringTiming {
    /// Time of the clustering, with the choice of the first centres.
    pub seconds: f64,
    /// Iterations that were made.
    pub iterations: usize,
    /// Whether the last iteration moved no embedding to another cluster.
    pub converged: bool,
    /// The sum of the squared distances of the embeddings to the mean of their cluster.
    pub inertia: f64,
    /// Normalised mutual information of clusters and classes, 0 to 1.
    pub nmi: f64,
    /// Peak memory of the process in MiB, including the program and the embeddings; `None` if unknown. It is
    /// the host's memory, not a GPU's.
    pub peak_mib: Option<f64>,
}

impl ClusteringTiming {
    /// Draws embeddings, and times at most `iterations` iterations of k-means.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn measure<B: Backend>(
        embeddings: &DrawnEmbeddings,
        iterations: usize,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<Self, BenchError> {
        let k_means = KMeans {
            clusters: embeddings.classes,
            iterations,
            restarts: 1,
            seed: 0,
        };
        let (embeddings, classes) = embeddings.draw::<B>(device);
        synchronise::<B>(device);
        reset_peak();
        let since = Instant::now();
        let clustering = k_means.run(embeddings, monitor)?;
        Ok(Self {
            seconds: since.elapsed().as_secs_f64(),
            iterations: clustering.iterations,
            converged: clustering.converged,
            inertia: clustering.inertia,
            nmi: ClusterAgreement::new(&classes, &clustering.clusters).nmi,
            peak_mib: peak_mib(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn drawn_classes_are_found() {
        let embeddings = DrawnEmbeddings {
            count: 200,
            dim: 128,
            classes: 10,
        };
        let (device, monitor) = (Default::default(), Monitor::none());
        let timing = ClusteringTiming::measure::<B>(&embeddings, 20, &device, monitor).unwrap();
        assert!(timing.nmi > 0.7, "{}", timing.nmi);
        assert!((1..=20).contains(&timing.iterations));
    }
}
