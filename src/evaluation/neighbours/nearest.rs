//! The nearest rows of a query so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Neighbour;

/// Products that are compared at once, so that they stay in the fastest cache.
const CHUNK: usize = 512;

/// The products of a query with consecutive rows of the gallery.
pub(super) struct TileRow<'a> {
    /// The products of the moved query and the moved rows.
    pub(super) products: &'a [f32],
    /// Half the squared lengths of the moved rows.
    pub(super) halves: &'a [f32],
    /// The first of the rows.
    pub(super) first: usize,
}

impl TileRow<'_> {
    /// Adds the rows whose product less half their squared length is at least `lowest`, with that number. Rows whose
    /// half is NaN are left out.
    fn collect(&self, lowest: f32, rows: &mut Vec<(f32, usize)>) {
        let mut nearness = [0.0; CHUNK];
        let chunks = self.products.chunks(CHUNK).zip(self.halves.chunks(CHUNK));
        for (chunk, (products, halves)) in chunks.enumerate() {
            let nearness = &mut nearness[..products.len()];
            let mut any = false;
            for ((nearness, product), half) in nearness.iter_mut().zip(products).zip(halves) {
                *nearness = product - half;
                any |= *nearness >= lowest;
            }
            if any {
                let first = self.first + chunk * CHUNK;
                let near = nearness.iter().zip(first..);
                let near = near.filter(|(near, _)| **near >= lowest);
                rows.extend(near.map(|(&near, row)| (near, row)));
            }
        }
    }
}

/// A query, as it is compared with rows of the gallery.
pub(super) trait Compared {
    /// Returns a bound of the error of a product less a half, and of the rounding of a limit to which it is compared.
    fn error(&self) -> f64;

    /// Returns the product less the half of a row at this squared distance.
    fn nearness(&self, squared: f64) -> f64;

    /// Returns whether a row of the gallery may be a neighbour.
    fn is_neighbour(&self, row: usize) -> bool;

    /// Returns the squared distance of a row of the gallery, in `f64`.
    fn squared_distance(&self, row: usize) -> f64;
}

/// The k nearest rows of a query so far, as a heap whose greatest is the farthest.
pub(super) struct Nearest {
    k: usize,
    heap: BinaryHeap<Candidate>,
}

/// A row and its squared distance. The farther one is greater; of two as near, the later one.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    squared: f64,
    row: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_distance = self.squared.total_cmp(&other.squared);
        by_distance.then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl Nearest {
    /// The `k` nearest of none, k at least 1.
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
        }
    }

    /// Adds the rows of a tile that are among the nearest. `scratch` is overwritten.
    pub(super) fn add(
        &mut self,
        tile: &TileRow<'_>,
        compared: &impl Compared,
        scratch: &mut Vec<(f32, usize)>,
    ) {
        let farthest = self.heap.peek().filter(|_| self.heap.len() == self.k);
        let lowest = farthest.map_or(f32::NEG_INFINITY, |farthest| {
            (compared.nearness(farthest.squared) - compared.error()) as f32
        });
        scratch.clear();
        tile.collect(lowest, scratch);
        scratch.retain(|&(_, row)| compared.is_neighbour(row));
        // The first rows, or rows that come nearer and nearer. Those that are certainly farther than k others of the
        // tile need no distance.
        if scratch.len() > self.k {
            let by_nearness = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0);
            let (_, &mut (kth, _), _) = scratch.select_nth_unstable_by(self.k - 1, by_nearness);
            let lowest = (f64::from(kth) - 2.0 * compared.error()) as f32;
            scratch.retain(|&(near, _)| near >= lowest);
        }
        for &(_, row) in scratch.iter() {
            let squared = compared.squared_distance(row);
            let candidate = Candidate { squared, row };
            if self.heap.len() < self.k {
                self.heap.push(candidate);
            } else if let Some(mut farthest) = self.heap.peek_mut()
                && candidate < *farthest
            {
                *farthest = candidate;
            }
        }
    }

    /// Returns the neighbours, the nearest first.
    pub(super) fn into_sorted(self) -> Vec<Neighbour> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted
            .map(|Candidate { squared, row }| Neighbour {
                row,
                distance: squared.sqrt(),
            })
            .collect()
    }
}
