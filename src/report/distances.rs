//! Distances of images of one class and of different classes, from a bounded sample of pairs.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::evaluated_split::EmbeddedRows;
use crate::evaluation::squared_distance;

/// Pairs that are drawn of each kind.
const PAIRS: usize = 50_000;
/// Bins of the histograms.
const BINS: usize = 48;

/// The distances of drawn pairs of a query and a gallery image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DistanceSample {
    /// The distances of pairs of one class, ascending.
    pub positive: Vec<f64>,
    /// The distances of pairs of different classes, ascending.
    pub negative: Vec<f64>,
}

/// Histograms over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histograms {
    /// The end of the last bin; the first begins at 0.
    pub end: f64,
    /// The share of the positive pairs in each bin.
    pub positive: Vec<f64>,
    /// The share of the negative pairs in each bin.
    pub negative: Vec<f64>,
}

impl DistanceSample {
    /// Draws pairs with replacement: a query that has a gallery image of the kind, then one of these, each uniformly.
    /// `None` if there are no pairs of one kind.
    pub(super) fn draw(rows: &EmbeddedRows, seed: u64) -> Option<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let pairs = Pairs::new(rows);
        let mut draw = |count: &dyn Fn(usize) -> usize, other: &dyn Fn(usize, usize) -> usize| {
            let queries = (0..rows.len()).filter(|&row| rows.role(row).is_query());
            let queries: Vec<usize> = queries.filter(|&row| count(row) > 0).collect();
            let mut distances = Vec::with_capacity(PAIRS);
            while distances.len() < PAIRS && !queries.is_empty() {
                let query = queries[random.random_range(0..queries.len())];
                let other = other(query, random.random_range(0..count(query)));
                distances.push(squared_distance(rows.row(query), rows.row(other)).sqrt());
            }
            distances.sort_by(f64::total_cmp);
            distances
        };
        let sample = Self {
            positive: draw(&|row| pairs.positives(row), &|row, i| {
                pairs.positive(row, i)
            }),
            negative: draw(&|row| pairs.negatives(row), &|row, i| {
                pairs.negative(row, i)
            }),
        };
        let has_both = !sample.positive.is_empty() && !sample.negative.is_empty();
        has_both.then_some(sample)
    }

    /// The share of pairs of a positive and a negative distance in which the positive one is smaller; equal ones count
    /// half. 1 if the classes are apart, 0.5 by chance (the area under the ROC curve).
    pub(super) fn separation(&self) -> f64 {
        let (mut below, mut up_to) = (0, 0);
        let mut sum = 0.0;
        for positive in &self.positive {
            while self.negative.get(below).is_some_and(|d| d < positive) {
                below += 1;
            }
            up_to = up_to.max(below);
            while self.negative.get(up_to).is_some_and(|d| d <= positive) {
                up_to += 1;
            }
            sum += (self.negative.len() - up_to) as f64 + (up_to - below) as f64 / 2.0;
        }
        sum / (self.positive.len() * self.negative.len()) as f64
    }

    /// The histograms of both kinds.
    pub(super) fn histograms(&self) -> Histograms {
        let last = |distances: &[f64]| distances.last().copied().unwrap_or(0.0);
        let end = last(&self.positive).max(last(&self.negative));
        let end = if end > 0.0 { end } else { 1.0 };
        let shares = |distances: &[f64]| {
            let mut shares = vec![0.0; BINS];
            for distance in distances {
                let bin = (distance / end * BINS as f64) as usize;
                shares[bin.min(BINS - 1)] += 1.0 / distances.len() as f64;
            }
            shares
        };
        Histograms {
            end,
            positive: shares(&self.positive),
            negative: shares(&self.negative),
        }
    }
}

/// The gallery by class, in which the images of a class and those of other classes are ranges.
struct Pairs<'a> {
    rows: &'a EmbeddedRows,
    /// The gallery's rows, sorted by class.
    gallery: Vec<usize>,
    /// The images of each class, as positions in the gallery.
    classes: Vec<Range<usize>>,
    /// The position of each row in the gallery, if it is there.
    positions: Vec<Option<usize>>,
}

impl<'a> Pairs<'a> {
    fn new(rows: &'a EmbeddedRows) -> Self {
        let gallery = (0..rows.len()).filter(|&row| rows.role(row).is_in_gallery());
        let mut gallery: Vec<usize> = gallery.collect();
        gallery.sort_by_key(|&row| rows.labels[row]);
        let count = rows.labels.iter().max().map_or(0, |&last| last + 1);
        let mut classes = vec![0..0; count];
        let mut positions = vec![None; rows.len()];
        for (at, &row) in gallery.iter().enumerate() {
            let class = &mut classes[rows.labels[row]];
            if class.end == 0 {
                class.start = at;
            }
            class.end = at + 1;
            positions[row] = Some(at);
        }
        Self {
            rows,
            gallery,
            classes,
            positions,
        }
    }

    fn class(&self, query: usize) -> &Range<usize> {
        &self.classes[self.rows.labels[query]]
    }

    /// The number of gallery images of the query's class, itself excluded.
    fn positives(&self, query: usize) -> usize {
        self.class(query).len() - usize::from(self.positions[query].is_some())
    }

    fn positive(&self, query: usize, i: usize) -> usize {
        let at = self.class(query).start + i;
        // The query itself is left out.
        let skipped = self.positions[query].is_some_and(|own| at >= own);
        self.gallery[at + usize::from(skipped)]
    }

    /// The number of gallery images of other classes.
    fn negatives(&self, query: usize) -> usize {
        self.gallery.len() - self.class(query).len()
    }

    fn negative(&self, query: usize, i: usize) -> usize {
        let class = self.class(query);
        match i < class.start {
            true => self.gallery[i],
            false => self.gallery[i + class.len()],
        }
    }
}

/// The mean of numbers.
pub(super) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Role;

    fn line(numbers: &[f32], labels: &[usize]) -> EmbeddedRows {
        EmbeddedRows {
            values: numbers.to_vec(),
            dim: 1,
            labels: labels.to_vec(),
            indices: (0..labels.len()).collect(),
            roles: None,
        }
    }

    #[test]
    fn classes_that_are_apart_are_separated_and_equal_embeddings_are_not() {
        let apart = line(&[0.0, 1.0, 10.0, 11.0], &[0, 0, 1, 1]);
        let sample = DistanceSample::draw(&apart, 1).unwrap();
        assert!(sample.positive.iter().all(|&d| d == 1.0));
        assert!(sample.negative.iter().all(|&d| (9.0..=11.0).contains(&d)));
        assert_eq!(sample.separation(), 1.0);
        let histograms = sample.histograms();
        assert_eq!(histograms.end, 11.0);
        for shares in [&histograms.positive, &histograms.negative] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let equal = DistanceSample::draw(&line(&[2.0; 4], &[0, 0, 1, 1]), 1).unwrap();
        assert_eq!(equal.separation(), 0.5);
        assert_eq!(equal.histograms().end, 1.0);
    }

    #[test]
    fn one_class_and_single_images_have_no_sample() {
        assert_eq!(DistanceSample::draw(&line(&[0.0, 1.0], &[0, 0]), 1), None);
        assert_eq!(DistanceSample::draw(&line(&[0.0, 1.0], &[0, 1]), 1), None);
        assert_eq!(DistanceSample::draw(&line(&[], &[]), 1), None);
    }

    #[test]
    fn every_pair_of_a_kind_is_drawn_and_no_other() {
        let mut rows = line(&[0.0; 5], &[1, 0, 1, 0, 1]);
        rows.roles = Some(vec![
            Role::Query,
            Role::Both,
            Role::Both,
            Role::Gallery,
            Role::Gallery,
        ]);
        let pairs = Pairs::new(&rows);
        let sorted = |mut rows: Vec<usize>| {
            rows.sort_unstable();
            rows
        };
        let positives = |row| {
            sorted(
                (0..pairs.positives(row))
                    .map(|i| pairs.positive(row, i))
                    .collect(),
            )
        };
        let negatives = |row| {
            sorted(
                (0..pairs.negatives(row))
                    .map(|i| pairs.negative(row, i))
                    .collect(),
            )
        };
        assert_eq!((positives(0), negatives(0)), (vec![2, 4], vec![1, 3]));
        assert_eq!((positives(1), negatives(1)), (vec![3], vec![2, 4]));
        assert_eq!((positives(2), negatives(2)), (vec![4], vec![1, 3]));
    }

    #[test]
    fn same_seed_draws_the_same_pairs() {
        let numbers: Vec<f32> = (0..30).map(|i| (i * i % 31) as f32).collect();
        let rows = line(&numbers, &(0..30).map(|i| i / 3).collect::<Vec<_>>());
        let draw = |seed| DistanceSample::draw(&rows, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
