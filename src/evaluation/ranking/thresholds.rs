//! The distances of queries to their positives, as limits of the products that a tile contains, and how
//! many images of other classes are within them.

use super::super::vectors::Vectors;
use super::search::Query;

/// Queries with more positives are counted by a binary search for each near image, the others by a pass over
/// the tile for each positive.
const FEW: usize = 128;
/// Products that are compared at once, so that they stay in the fastest cache.
const CHUNK: usize = 512;

/// The positives of a query, the nearest first.
pub(super) struct Thresholds {
    /// Squared distances in `f64`, ascending.
    squared: Vec<f64>,
    /// The same as nearness, the product less half the squared length of an image, descending.
    nearness: Vec<f64>,
    /// With few positives, `nearer[k]` is the number of images that are at least as near as positive k.
    /// Otherwise it is the number of those that are farther away than positive k − 1.
    nearer: Vec<u32>,
}

impl Thresholds {
    /// The distances of the `nearest` positives of a query, or of all.
    pub(super) fn new(query: &Query, gallery: &[usize], vectors: &Vectors, nearest: bool) -> Self {
        let squared = query.positives();
        let squared = squared.map(|at| vectors.squared_distance(query.row, gallery[at]));
        let mut squared: Vec<f64> = squared.collect();
        if nearest && let Some(least) = squared.iter().copied().reduce(f64::min) {
            squared = vec![least];
        }
        squared.sort_by(f64::total_cmp);
        let nearness = squared.iter().map(|&d| vectors.nearness(query.row, d));
        Self {
            nearness: nearness.collect(),
            nearer: vec![0; squared.len()],
            squared,
        }
    }

    /// Counts the images of other classes that are at least as near as each positive. `products[i]` is
    /// the product of the query with an image, `halves[i]` half the squared length of the image, `error` a bound
    /// of the error of their difference, and `squared_distance(i)` the exact distance.
    pub(super) fn count(
        &mut self,
        products: &[f32],
        halves: &[f32],
        error: f64,
        squared_distance: impl Fn(usize) -> f64,
    ) {
        let Some(&lowest) = self.nearness.last() else {
            return;
        };
        let lowest = (lowest - error) as f32;
        let mut nearness = [0.0; CHUNK];
        let chunks = products.chunks(CHUNK).zip(halves.chunks(CHUNK));
        for (chunk, (products, halves)) in chunks.enumerate() {
            let nearness = &mut nearness[..products.len()];
            let mut any = false;
            for ((nearness, product), half) in nearness.iter_mut().zip(products).zip(halves) {
                *nearness = product - half;
                any |= *nearness >= lowest;
            }
            if any {
                let squared_distance = |i| squared_distance(chunk * CHUNK + i);
                match self.squared.len() <= FEW {
                    true => self.count_by_positive(nearness, error, squared_distance),
                    false => self.count_by_image(nearness, error, squared_distance),
                }
            }
        }
    }

    /// Counts `others` images of other classes that are as near as every positive.
    pub(super) fn all_are_as_near(&mut self, others: usize) {
        let first = match self.squared.len() <= FEW {
            true => self.nearer.len(),
            false => 1,
        };
        self.nearer[..first].fill(others as u32);
    }

    fn count_by_positive(
        &mut self,
        nearness: &[f32],
        error: f64,
        squared_distance: impl Fn(usize) -> f64,
    ) {
        // Distances that an earlier positive needed; −1 if they are not known.
        let mut known = [-1.0_f64; CHUNK];
        for k in (0..self.squared.len()).rev() {
            let (lower, upper) = limits(self.nearness[k], error);
            let (mut possible, mut certain) = (0_u32, 0_u32);
            for &near in nearness {
                possible += u32::from(near >= lower);
                certain += u32::from(near >= upper);
            }
            if possible == 0 {
                // Nearer positives have higher limits.
                return;
            }
            if possible > certain {
                for (i, &near) in nearness.iter().enumerate() {
                    if near >= lower && near < upper {
                        if known[i] < 0.0 {
                            known[i] = squared_distance(i);
                        }
                        certain += u32::from(known[i] <= self.squared[k]);
                    }
                }
            }
            self.nearer[k] += certain;
        }
    }

    fn count_by_image(
        &mut self,
        nearness: &[f32],
        error: f64,
        squared_distance: impl Fn(usize) -> f64,
    ) {
        for (i, &near) in nearness.iter().enumerate() {
            let near = f64::from(near);
            // Limits descend. From the first one that is not above, the image may be nearer.
            let possible = self.nearness.partition_point(|&at| near + error < at);
            let is_certain = self
                .nearness
                .get(possible)
                .is_none_or(|&at| near - error >= at);
            let first = match is_certain {
                true => possible,
                false => {
                    let distance = squared_distance(i);
                    self.squared.partition_point(|&squared| squared < distance)
                }
            };
            if let Some(count) = self.nearer.get_mut(first) {
                *count += 1;
            }
        }
    }

    /// Returns the ranks of the positives from 1, ascending: for each, how many positives and images of
    /// other classes are at least as near.
    pub(super) fn into_ranks(self) -> Vec<usize> {
        let many = self.squared.len() > FEW;
        let mut before = 0;
        let nearer = self.nearer.into_iter().map(|nearer| {
            before = if many { before } else { 0 } + nearer as usize;
            before
        });
        nearer.zip(1..).map(|(nearer, k)| nearer + k).collect()
    }
}

/// The limits for images that are compared with a positive of this nearness: below the first, an image is farther
/// away; from the second on, it is not. Between them, the distance decides.
fn limits(nearness: f64, error: f64) -> (f32, f32) {
    ((nearness - error) as f32, (nearness + error) as f32)
}
