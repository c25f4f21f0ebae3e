//! Recall@K: the share of queries with at least one image of their class among their K nearest
//! neighbours, the query itself excluded (Jégou et al., PAMI 2011, as used by every deep metric
//! learning table since Song et al., CVPR 2016).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Recall@K of a split, and its number of queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// K → share of the queries with a positive among their K nearest neighbours, 0 to 1.
    pub at: BTreeMap<usize, f64>,
    /// Number of queries that have another image of their class in the gallery. Other queries are not
    /// counted.
    pub queries: usize,
}

impl Recall {
    /// Computes Recall@K for each K of `ks` from the ranks of the
    /// [nearest positives](super::nearest_positive_ranks); 0 if the split has no counted query.
    pub fn from_ranks(ranks: &[Option<usize>], ks: &[usize]) -> Self {
        let ranks: Vec<usize> = ranks.iter().copied().flatten().collect();
        let share = |k: usize| {
            let found = ranks.iter().filter(|&&rank| rank <= k).count();
            found as f64 / ranks.len().max(1) as f64
        };
        Self {
            at: ks.iter().map(|&k| (k, share(k))).collect(),
            queries: ranks.len(),
        }
    }

    /// Returns Recall@1, 0 to 1, by which checkpoints are compared; 0 if `at` does not contain it.
    pub fn at_1(&self) -> f64 {
        self.at.get(&1).copied().unwrap_or(0.0)
    }
}
