//! The benchmark of a retrieval evaluation: the ranks of all positives, and the measures that follow from them.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::backend::Backend;
use serde::Serialize;

use super::{BenchError, DrawnEmbeddings, synchronise};
use crate::embedding_file::Embeddings;
use crate::evaluation::{MeasureOptions, RetrievalMeasures, measure_queries};
use crate::inference::{retrieval, searched_rows};
use crate::process_memory::{peak_mib, reset_peak};
use crate::progress::Monitor;

/// The K of Recall@K, those of Stanford Online Products.
const RECALL_AT: [usize; 4] = [1, 10, 100, 1000];

/// The time and the results of a retrieval evaluation.
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

impl NeighboursTiming {
    /// Draws embeddings, and times the measures of each among the others.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn measure<B: Backend>(
        embeddings: &DrawnEmbeddings,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<Self, BenchError> {
        let (embeddings, classes) = embeddings.draw::<B>(device);
        synchronise::<B>(device);
        reset_peak();
        let since = Instant::now();
        let queries = measure_queries(embeddings, &classes, None, monitor)?;
        let measures = RetrievalMeasures::from_queries(&queries, &recall_up_to(classes.len() - 1));
        Ok(Self::new(since, measures))
    }

    /// Times the measures of the rows of a file among the others.
    ///
    /// # Errors
    /// If no row has a positive, or a stop was requested.
    pub fn measure_file<B: Backend>(
        embeddings: &Embeddings,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<Self, BenchError> {
        let searched = searched_rows(embeddings, None);
        let recall = recall_up_to(searched);
        let options = MeasureOptions {
            recall: &recall,
            ..MeasureOptions::default()
        };
        reset_peak();
        let since = Instant::now();
        let result = retrieval::<B>(embeddings, None, options, device, monitor)?;
        Ok(Self::new(since, result.measures.retrieval))
    }

    fn new(since: Instant, measures: RetrievalMeasures) -> Self {
        Self {
            seconds: since.elapsed().as_secs_f64(),
            queries: measures.recall.queries,
            recall: measures.recall.at,
            map_at_r: measures.map_at_r,
            r_precision: measures.r_precision,
            peak_mib: peak_mib(),
        }
    }
}

/// The K up to the number of images among which a query is searched.
fn recall_up_to(searched: usize) -> Vec<usize> {
    RECALL_AT.into_iter().filter(|&k| k <= searched).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn measures_of_drawn_embeddings_are_plausible() {
        let embeddings = DrawnEmbeddings {
            count: 300,
            dim: 64,
            classes: 50,
        };
        let (device, monitor) = (Default::default(), Monitor::none());
        let timing = NeighboursTiming::measure::<B>(&embeddings, &device, monitor).unwrap();
        assert!((250..=300).contains(&timing.queries), "{}", timing.queries);
        let recall = &timing.recall;
        assert!(recall[&1] > 0.3 && recall[&1] < 1.0, "{recall:?}");
        assert_eq!(recall.len(), 3, "a query is searched among 299 images");
        assert!(timing.map_at_r <= timing.r_precision);
        assert!(timing.r_precision < recall[&10]);
    }
}
