//! The benchmark of a retrieval evaluation: the ranks of all positives, and the measures that follow from them.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::BenchError;
use crate::evaluation::{RetrievalMeasures, measure_queries};
use crate::model::unit_length;
use crate::process_memory::{peak_mib, reset_peak};
use crate::progress::Monitor;

/// The K of Recall@K, those of Stanford Online Products.
const RECALL_AT: [usize; 4] = [1, 10, 100, 1000];
/// The standard deviation of an embedding around the centre of its class, relative to that of the centres.
const SPREAD: f32 = 1.9;

/// Embeddings whose retrieval measures are timed.
#[derive(Debug, Clone)]
pub struct NeighboursBenchmark {
    /// Number of embeddings, at least `classes`.
    pub count: usize,
    /// Dimension of an embedding.
    pub dim: usize,
    /// Number of classes. Each has one embedding, and the others are of random classes.
    pub classes: usize,
}

/// The results of a [`NeighboursBenchmark`].
#[derive(Debug, Clone, Serialize)]
pub struct NeighboursTiming {
    /// Time to compute the measures, without drawing the embeddings.
    pub seconds: f64,
    /// Number of queries with a positive.
    pub queries: usize,
    /// K → share of the queries with a positive among their K nearest neighbours.
    pub recall: BTreeMap<usize, f64>,
    /// MAP@R, 0 to 1.
    pub map_at_r: f64,
    /// R-precision, 0 to 1.
    pub r_precision: f64,
    /// Peak memory of the process in MiB, including the program and the embeddings; `None` if unknown. It is
    /// the host's memory, not a GPU's.
    pub peak_mib: Option<f64>,
}

impl NeighboursBenchmark {
    /// Draws unit vectors, and times the measures of each among the others.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn run<B: Backend>(
        &self,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<NeighboursTiming, BenchError> {
        B::seed(device, 0);
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut labels: Vec<usize> = (0..self.classes)
            .chain((self.classes..self.count).map(|_| random.random_range(0..self.classes)))
            .collect();
        labels.sort_unstable();
        let normal = |rows: usize| {
            Tensor::<B, 2>::random([rows, self.dim], Distribution::Normal(0.0, 1.0), device)
        };
        let of_row: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        let centres = normal(self.classes).select(0, Tensor::from_ints(of_row.as_slice(), device));
        let embeddings = unit_length(centres + normal(self.count) * SPREAD);
        B::sync(device).expect("a device that works can be synchronised");
        measure(embeddings, &labels, monitor)
    }
}

fn measure<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    monitor: Monitor<'_>,
) -> Result<NeighboursTiming, BenchError> {
    reset_peak();
    let since = Instant::now();
    let queries = measure_queries(embeddings, labels, None, monitor)?;
    let measures = RetrievalMeasures::from_queries(&queries, &RECALL_AT);
    Ok(NeighboursTiming {
        seconds: since.elapsed().as_secs_f64(),
        queries: measures.recall.queries,
        recall: measures.recall.at,
        map_at_r: measures.map_at_r,
        r_precision: measures.r_precision,
        peak_mib: peak_mib(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn measures_of_drawn_embeddings_are_plausible() {
        let benchmark = NeighboursBenchmark {
            count: 300,
            dim: 64,
            classes: 50,
        };
        let timing = benchmark
            .run::<B>(&Default::default(), Monitor::none())
            .unwrap();
        assert!((250..=300).contains(&timing.queries), "{}", timing.queries);
        let recall = &timing.recall;
        assert!(recall[&1] > 0.3 && recall[&1] < 1.0, "{recall:?}");
        assert_eq!(recall[&1000], 1.0);
        assert!(timing.map_at_r <= timing.r_precision);
        assert!(timing.r_precision < recall[&10]);
    }
}
