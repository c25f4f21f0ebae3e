//! The first centres of k-means.

use std::collections::HashSet;

use burn::tensor::backend::Backend;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::assignment::Rows;
use crate::cancellation::Cancelled;
use crate::evaluation::vectors::{row, squared_distance};
use crate::progress::Task;

/// The most multiplications of greedy k-means++: a few seconds on two cores.
const GREEDY_WORK: f64 = 4e10;
/// Otherwise, centres are drawn in this many rounds.
const ROUNDS: usize = 16;

/// The first centres, and the division of the rows among them.
pub(super) struct Seeding {
    /// The rows that are centres.
    pub(super) rows: Vec<usize>,
    /// The number of the nearest centre of each row, the first of equal ones.
    pub(super) nearest: Vec<usize>,
}

/// Draws `count` rows as centres, with probabilities proportional to the squared
/// distance to the nearest centre drawn before (k-means++; Arthur and Vassilvitskii, SODA 2007).
///
/// Of several candidates for each centre, the one that reduces the sum of the squared distances most is taken,
/// as in scikit-learn. If this takes too long, many centres are drawn at once, with the probabilities of their
/// round (as in k-means||; Bahmani et al., VLDB 2012).
pub(super) fn draw<B: Backend>(
    rows: &[f32],
    dim: usize,
    count: usize,
    on_device: &Rows<'_, B>,
    random: &mut ChaCha8Rng,
    task: &Task<'_>,
) -> Result<Seeding, Cancelled> {
    let total = rows.len() / dim;
    let candidates = 2 + (count as f64).ln() as usize;
    let work = |candidates: usize| rows.len() as f64 * count as f64 * candidates as f64;
    let mut seeds = Seeds {
        rows,
        dim,
        nearest: vec![(f64::INFINITY, 0); total],
        chosen: Vec::with_capacity(count),
    };
    seeds.add(&[random.random_range(0..total)]);
    while seeds.chosen.len() < count {
        task.check()?;
        let left = count - seeds.chosen.len();
        if work(candidates) <= GREEDY_WORK {
            let drawn = seeds.draw(candidates, random);
            let best = drawn.into_iter().map(|row| (seeds.sum_with(row), row));
            match best.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) {
                Some((_, row)) => seeds.add(&[row]),
                None => return Ok(seeds.fill(count, random).into()),
            }
        } else {
            let drawn = seeds.draw(left.min(count.div_ceil(ROUNDS)), random);
            if drawn.is_empty() {
                return Ok(seeds.fill(count, random).into());
            }
            let centres: Vec<f32> = drawn
                .iter()
                .flat_map(|&i| row(rows, dim, i))
                .copied()
                .collect();
            let of_row = on_device.assign(&centres, dim, || task.check())?;
            seeds.add_assigned(&drawn, &of_row);
        }
    }
    Ok(seeds.into())
}

struct Seeds<'a> {
    rows: &'a [f32],
    dim: usize,
    /// The squared distance of each row to the nearest centre, and the number of this centre.
    nearest: Vec<(f64, usize)>,
    chosen: Vec<usize>,
}

impl From<Seeds<'_>> for Seeding {
    fn from(seeds: Seeds<'_>) -> Self {
        Self {
            rows: seeds.chosen,
            nearest: seeds
                .nearest
                .into_iter()
                .map(|(_, centre)| centre)
                .collect(),
        }
    }
}

impl Seeds<'_> {
    fn row(&self, i: usize) -> &[f32] {
        row(self.rows, self.dim, i)
    }

    /// Draws up to `count` different rows with probabilities proportional to their squared distances. None if
    /// every row is at a centre.
    fn draw(&self, count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
        let sums = self.nearest.iter().scan(0.0, |sum, (distance, _)| {
            *sum += distance;
            Some(*sum)
        });
        let sums: Vec<f64> = sums.collect();
        let sum = sums.last().copied().unwrap_or(0.0);
        if sum <= 0.0 {
            return Vec::new();
        }
        let mut drawn = Vec::with_capacity(count);
        let mut seen = HashSet::new();
        // A row that is drawn again is left out.
        for _ in 0..2 * count {
            let at = random.random::<f64>() * sum;
            let row = sums.partition_point(|&sum| sum <= at).min(sums.len() - 1);
            if self.nearest[row].0 > 0.0 && seen.insert(row) {
                drawn.push(row);
            }
            if drawn.len() == count {
                break;
            }
        }
        drawn
    }

    /// The sum of the squared distances if `centre` were one more centre.
    fn sum_with(&self, centre: usize) -> f64 {
        let centre = self.row(centre);
        let nearest = self.nearest.par_iter().zip(self.rows.par_chunks(self.dim));
        // The order of a parallel sum of numbers varies; that of a collected one does not.
        let distances = nearest.map(|(nearest, row)| nearest.0.min(squared_distance(row, centre)));
        distances.collect::<Vec<f64>>().iter().sum()
    }

    fn add(&mut self, centres: &[usize]) {
        for &centre in centres {
            let at = row(self.rows, self.dim, centre);
            let rows = self.rows.par_chunks(self.dim);
            let number = self.chosen.len();
            let nearest = self.nearest.par_iter_mut().zip(rows);
            nearest.for_each(|(nearest, row)| {
                replace_if_nearer(nearest, squared_distance(row, at), number);
            });
            self.chosen.push(centre);
        }
    }

    /// Adds `centres`, the nearest of which is `of_row[i]` for row i.
    fn add_assigned(&mut self, centres: &[usize], of_row: &[usize]) {
        let (rows, dim) = (self.rows, self.dim);
        let assigned = rows.par_chunks(dim).zip(of_row);
        let nearest = self.nearest.par_iter_mut().zip(assigned);
        let before = self.chosen.len();
        nearest.for_each(|(nearest, (values, &number))| {
            let centre = row(rows, dim, centres[number]);
            replace_if_nearer(nearest, squared_distance(values, centre), before + number);
        });
        // By rounding, a centre may be assigned to an equal row.
        for &centre in centres {
            self.nearest[centre].0 = 0.0;
        }
        self.chosen.extend_from_slice(centres);
    }

    /// Adds other rows until there are `count` centres: fewer rows than centres are different.
    fn fill(mut self, count: usize, random: &mut ChaCha8Rng) -> Self {
        let chosen: HashSet<usize> = self.chosen.iter().copied().collect();
        let mut others: Vec<usize> = (0..self.nearest.len())
            .filter(|row| !chosen.contains(row))
            .collect();
        while self.chosen.len() < count && !others.is_empty() {
            let at = random.random_range(0..others.len());
            self.chosen.push(others.swap_remove(at));
        }
        self
    }
}

fn replace_if_nearer(nearest: &mut (f64, usize), squared: f64, number: usize) {
    if squared < nearest.0 {
        *nearest = (squared, number);
    }
}
