//! What an evaluation shows besides its measures: distances of pairs, and the worst queries.

use rayon::prelude::*;

use super::pair_sample::PairSample;
use crate::evaluation::{Role, SplitMeasures};
use crate::training::measured::{Measured, Score};

/// The most worst queries of an evaluation.
pub(in crate::training) const WORST_QUERIES: usize = 8;

/// What is seen in the embeddings of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::training) struct Inspection {
    /// Euclidean distances of a sample of pairs of a query and a gallery image of the same class.
    pub(in crate::training) positive: Vec<f32>,
    /// Euclidean distances of a sample of pairs of a query and a gallery image of different classes.
    pub(in crate::training) negative: Vec<f32>,
    /// The wrong queries whose nearest positive has the worst rank, worst first. Empty if the epoch is not the
    /// best so far.
    pub(in crate::training) worst: Vec<WorstQuery>,
}

/// A query whose nearest neighbour is of another class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::training) struct WorstQuery {
    /// Its index in the split.
    pub(in crate::training) query: usize,
    /// The rank of its nearest positive, above 1.
    pub(in crate::training) rank: usize,
    /// Its nearest positive.
    pub(in crate::training) positive: Near,
    /// Its nearest image of another class.
    pub(in crate::training) negative: Near,
}

/// A neighbour of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::training) struct Near {
    /// Its index in the split.
    pub(in crate::training) image: usize,
    /// Its Euclidean distance.
    pub(in crate::training) distance: f32,
}

/// What is inspected in an evaluation.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Inspector {
    /// Seed that draws the pairs.
    pub(in crate::training) seed: u64,
    /// The score of the best earlier epoch. The worst queries of a better epoch are looked for.
    pub(in crate::training) best: Option<Score>,
}

/// Embeddings on the host, with what is known of their images.
pub(super) struct Embedded<'a> {
    /// \[N, D\].
    pub(super) values: &'a [f32],
    pub(super) dim: usize,
    pub(super) labels: &'a [usize],
    /// The index in the split of each image.
    pub(super) indices: &'a [usize],
    pub(super) roles: Option<&'a [Role]>,
}

impl Embedded<'_> {
    /// Inspects an evaluation with these measures.
    pub(super) fn inspect(&self, inspector: Inspector, measures: &SplitMeasures) -> Inspection {
        let [positive, negative] = self.pair_distances(inspector.seed);
        let score = Measured::from(measures.retrieval.clone()).score();
        let worst = match inspector.best.is_none_or(|best| score > best) {
            true => {
                let queries = measures.queries.iter();
                self.worst_queries(queries.map(|query| query.map(|query| query.nearest)))
            }
            false => Vec::new(),
        };
        Inspection {
            positive,
            negative,
            worst,
        }
    }

    /// The distances of a sample of pairs of a query and a gallery image, positive and negative ones. Pairs of other
    /// roles are drawn too, and left out.
    fn pair_distances(&self, seed: u64) -> [Vec<f32>; 2] {
        let PairSample { positive, negative } = PairSample::draw(self.labels, seed);
        [positive, negative].map(|pairs| {
            let pairs = pairs.par_iter().filter(|[a, b]| match self.roles {
                Some(roles) => roles[*a].is_query() && roles[*b].is_in_gallery(),
                None => true,
            });
            pairs.map(|&[a, b]| self.distance(a, b) as f32).collect()
        })
    }

    /// The worst queries. `ranks` are those of the nearest positive of each image that is a query.
    fn worst_queries(&self, ranks: impl Iterator<Item = Option<usize>>) -> Vec<WorstQuery> {
        let is_query = |image: &usize| self.roles.is_none_or(|roles| roles[*image].is_query());
        let queries = (0..self.labels.len()).filter(is_query);
        let mut wrong: Vec<(usize, usize)> = queries
            .zip(ranks)
            .filter_map(|(query, rank)| Some((query, rank?)))
            .filter(|(_, rank)| *rank > 1)
            .collect();
        wrong.sort_by_key(|&(query, rank)| (std::cmp::Reverse(rank), query));
        wrong.truncate(WORST_QUERIES);
        wrong
            .into_par_iter()
            .filter_map(|(query, rank)| {
                Some(WorstQuery {
                    query: self.indices[query],
                    rank,
                    positive: self.nearest(query, |label| label == self.labels[query])?,
                    negative: self.nearest(query, |label| label != self.labels[query])?,
                })
            })
            .collect()
    }

    /// The nearest image of the gallery with a label that `is_wanted`, the first of several.
    fn nearest(&self, query: usize, is_wanted: impl Fn(usize) -> bool) -> Option<Near> {
        let in_gallery = |image: usize| self.roles.is_none_or(|roles| roles[image].is_in_gallery());
        let near = (0..self.labels.len())
            .filter(|&image| image != query && in_gallery(image) && is_wanted(self.labels[image]))
            .map(|image| (image, self.distance(query, image)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(Near {
            image: self.indices[near.0],
            distance: near.1 as f32,
        })
    }

    fn distance(&self, a: usize, b: usize) -> f64 {
        let row = |image: usize| &self.values[image * self.dim..][..self.dim];
        let pairs = row(a).iter().zip(row(b));
        let squares = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a line with two classes; the images have other indices in the split.
    fn inspected(roles: Option<&[Role]>, ranks: &[Option<usize>]) -> Vec<WorstQuery> {
        let embedded = Embedded {
            values: &[0.0, 1.0, 3.0, 7.0, 8.0],
            dim: 1,
            labels: &[0, 1, 0, 1, 0],
            indices: &[10, 11, 12, 13, 14],
            roles,
        };
        embedded.worst_queries(ranks.iter().copied())
    }

    fn near(image: usize, distance: f32) -> Near {
        Near { image, distance }
    }

    #[test]
    fn worst_rank_is_first_and_right_queries_are_left_out() {
        let worst = inspected(None, &[Some(2), Some(3), None, Some(1), Some(2)]);
        let queries: Vec<_> = worst
            .iter()
            .map(|worst| (worst.query, worst.rank))
            .collect();
        assert_eq!(queries, [(11, 3), (10, 2), (14, 2)]);
        assert_eq!(
            (worst[0].positive, worst[0].negative),
            (near(13, 6.0), near(10, 1.0))
        );
        assert_eq!(
            (worst[2].positive, worst[2].negative),
            (near(12, 5.0), near(13, 1.0))
        );
    }

    #[test]
    fn neighbours_are_in_the_gallery() {
        use Role::{Both, Gallery, Query};
        let roles = [Query, Gallery, Gallery, Both, Query];
        // Of the queries 0, 3 and 4.
        let worst = inspected(Some(&roles), &[None, Some(2), Some(3)]);
        let queries: Vec<_> = worst.iter().map(|worst| worst.query).collect();
        assert_eq!(queries, [14, 13]);
        assert_eq!(worst[0].positive, near(12, 5.0));
        assert_eq!(worst[0].negative, near(13, 1.0));
        assert_eq!(worst[1].positive, near(11, 6.0));
        assert_eq!(worst[1].negative, near(12, 4.0));
    }

    #[test]
    fn distances_are_euclidean() {
        let embedded = Embedded {
            values: &[0.0, 0.0, 3.0, 4.0],
            dim: 2,
            labels: &[0, 0],
            indices: &[0, 1],
            roles: None,
        };
        assert_eq!(embedded.pair_distances(1), [vec![5.0, 5.0], vec![]]);
    }
}
