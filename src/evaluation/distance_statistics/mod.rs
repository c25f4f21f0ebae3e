//! Distances within and between classes, and how far the embeddings spread: they show a collapse that
//! retrieval measures do not explain.

mod pairs;
#[cfg(test)]
mod tests;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::role::Role;
use super::vectors::{Vectors, squared_distance};
use crate::cancellation::Cancelled;
use crate::geometry::products::SplitRows;
use crate::geometry::{is_host, transpose, widen};
use crate::kernels::matmul;
use crate::progress::{Monitor, Task, Unit};
use pairs::mean_over_pairs;

/// The most queries whose nearest images are searched.
const MOST_QUERIES: usize = 1024;
/// Rows of the gallery in a tile, and of a sum of products.
const TILE: usize = 4096;
/// Statistics are estimates; the same embeddings have the same.
const SEED: u64 = 0;

/// Distances within and between classes. All distances are Euclidean. A statistic is `None` if it is not
/// defined, such as the distance between classes of a single class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceStatistics {
    /// The mean distance of two images of one class, over all such pairs (π_intra of Roth et al., "Revisiting
    /// Training Strategies", ICML 2020, section 5, but for the weight of a class, which is its number of pairs).
    pub intra: Option<f64>,
    /// The mean distance of the mean embeddings of two classes (π_inter there).
    pub inter: Option<f64>,
    /// The effective number of dimensions, (Σλ)²/Σλ² of the eigenvalues λ of the covariance: from 1 for points on
    /// a line to D. `None` if all embeddings are equal.
    pub effective_dimension: Option<f64>,
    /// The mean distance of a query to its nearest image of another class, less that to its nearest image of
    /// its class: negative if most are confused. Over at most 1,024 queries, a seeded sample of more.
    pub margin: Option<f64>,
}

impl DistanceStatistics {
    /// Measures embeddings. Rows for which `has_class` is false, or that are not finite, are left out.
    ///
    /// Up to 2²⁰ pairs are measured for each of the means, of more a seeded sample of that size, drawn with
    /// replacement.
    ///
    /// # Shapes
    /// - `embeddings`: `[N, D]`, of any length
    /// - `labels`: N class indices
    /// - `roles`: N roles; `None` means [`Role::Both`] for every image
    ///
    /// # Errors
    /// If a stop was requested.
    ///
    /// # Panics
    /// If the number of labels or roles is not N.
    pub fn measure<B: Backend>(
        embeddings: Tensor<B, 2>,
        labels: &[usize],
        roles: Option<&[Role]>,
        has_class: impl Fn(usize) -> bool,
        monitor: Monitor<'_>,
    ) -> Result<Self, Cancelled> {
        let [n, dim] = embeddings.dims();
        assert_eq!(n, labels.len(), "one label for each embedding");
        assert!(roles.is_none_or(|roles| roles.len() == n), "one role each");
        let device = embeddings.device();
        let values = embeddings.into_data().convert::<f32>();
        let values = values.into_vec::<f32>().expect("they are f32");
        let is_finite = |row: &usize| values[row * dim..][..dim].iter().all(|x| x.is_finite());
        let rows = (0..n).filter(|&row| has_class(row)).filter(is_finite);
        let mut rows: Vec<usize> = rows.collect();
        rows.sort_by_key(|&row| labels[row]);
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|&row| &values[row * dim..][..dim])
            .copied()
            .collect();
        let rows = ClassRows {
            dim,
            labels: rows.iter().map(|&row| labels[row]).collect(),
            roles: rows
                .iter()
                .map(|&row| roles.map_or(Role::Both, |roles| roles[row]))
                .collect(),
            vectors: Vectors::new(values, dim),
        };
        let task = monitor.task("distances", None, Unit::Images);
        task.check()?;
        let statistics = Self {
            intra: rows.intra(&task)?,
            inter: rows.inter(&task)?,
            effective_dimension: rows.effective_dimension::<B>(&device, &task)?,
            margin: rows.margin::<B>(&device, &task)?,
        };
        task.finish();
        Ok(statistics)
    }

    /// The distance within classes in relation to that between classes: small for compact classes far apart.
    pub fn ratio(&self) -> Option<f64> {
        let inter = self.inter.filter(|&inter| inter > 0.0)?;
        Some(self.intra? / inter)
    }
}

/// Rows that are sorted by class.
struct ClassRows {
    dim: usize,
    labels: Vec<usize>,
    roles: Vec<Role>,
    vectors: Vectors,
}

impl ClassRows {
    fn len(&self) -> usize {
        self.labels.len()
    }

    /// The numbers of rows of the classes, in their order.
    fn sizes(&self) -> Vec<usize> {
        self.labels
            .chunk_by(|a, b| a == b)
            .map(<[usize]>::len)
            .collect()
    }

    fn intra(&self, task: &Task<'_>) -> Result<Option<f64>, Cancelled> {
        mean_over_pairs(&self.sizes(), SEED, task, |a, b| {
            self.vectors.squared_distance(a, b).sqrt()
        })
    }

    fn inter(&self, task: &Task<'_>) -> Result<Option<f64>, Cancelled> {
        let sizes = self.sizes();
        let mut first = 0;
        let mut centres = Vec::with_capacity(sizes.len() * self.dim);
        for &size in &sizes {
            let mut sums = vec![0.0_f64; self.dim];
            for row in first..first + size {
                for (sum, &x) in sums.iter_mut().zip(self.vectors.row(row)) {
                    *sum += f64::from(x);
                }
            }
            centres.extend(sums.iter().map(|sum| (sum / size as f64) as f32));
            first += size;
        }
        let centre = |at: usize| &centres[at * self.dim..][..self.dim];
        mean_over_pairs(&[sizes.len()], SEED, task, |a, b| {
            squared_distance(centre(a), centre(b)).sqrt()
        })
    }

    /// With the products XᵀX of the moved rows X, whose mean is nearly 0: (Σλ)²/Σλ² is the square of their trace
    /// over the sum of their squares, less what the mean contributes.
    fn effective_dimension<B: Backend>(
        &self,
        device: &B::Device,
        task: &Task<'_>,
    ) -> Result<Option<f64>, Cancelled> {
        if self.len() == 0 || self.vectors.are_equal() {
            return Ok(None);
        }
        let (n, dim) = (self.len(), self.dim);
        let mut sums = vec![0.0_f64; dim * dim];
        let mut means = vec![0.0_f64; dim];
        for rows in self.vectors.all_moved().chunks(TILE * dim) {
            task.check()?;
            for row in rows.chunks(dim) {
                for (mean, &x) in means.iter_mut().zip(row) {
                    *mean += f64::from(x) / n as f64;
                }
            }
            let shape = [rows.len() / dim, dim];
            let x = Tensor::<B, 2>::from_data(TensorData::new(rows.to_vec(), shape), device);
            let products = matmul(transpose(x.clone()), x).into_data().convert::<f32>();
            let products = products.as_slice::<f32>().expect("they are f32");
            for (sum, &product) in sums.iter_mut().zip(products) {
                *sum += f64::from(product);
            }
        }
        let covariance = |i: usize, j: usize| sums[i * dim + j] / n as f64 - means[i] * means[j];
        let trace: f64 = (0..dim).map(|i| covariance(i, i)).sum();
        let squares: f64 = (0..dim)
            .flat_map(|i| (0..dim).map(move |j| (i, j)))
            .map(|(i, j)| covariance(i, j).powi(2))
            .sum();
        Ok((squares > 0.0).then(|| trace * trace / squares))
    }

    fn margin<B: Backend>(
        &self,
        device: &B::Device,
        task: &Task<'_>,
    ) -> Result<Option<f64>, Cancelled> {
        let of_role = |has: fn(Role) -> bool| -> Vec<usize> {
            (0..self.len())
                .filter(|&row| has(self.roles[row]))
                .collect()
        };
        let gallery = of_role(Role::is_in_gallery);
        let mut queries = of_role(Role::is_query);
        if queries.len() > MOST_QUERIES {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            let drawn = index::sample(&mut random, queries.len(), MOST_QUERIES);
            queries = drawn.iter().map(|at| queries[at]).collect();
        }
        let rows = |rows: &[usize]| {
            let shape = [rows.len(), self.dim];
            let moved = self.vectors.moved(rows.iter().copied());
            Tensor::<B, 2>::from_data(TensorData::new(moved, shape), device)
        };
        if queries.is_empty() || gallery.is_empty() {
            return Ok(None);
        }
        let mut nearest = vec![Nearest::default(); queries.len()];
        let from = rows(&queries);
        let on_device = (!is_host::<B>(device)).then(|| SplitRows::from_unit(widen(from.clone())));
        for part in gallery.chunks(TILE) {
            task.check()?;
            let products = match &on_device {
                None => from.clone().matmul(transpose(rows(part))),
                // Products of `f32` may be rounded to 11 bits there.
                Some(from) => {
                    let part = SplitRows::from_unit(widen(rows(part)));
                    from.products(&part).linear(Tensor::clone)
                }
            };
            let products = products.into_data().convert::<f32>();
            let products = products.as_slice::<f32>().expect("they are f32");
            let halves: Vec<f64> = part
                .iter()
                .map(|&row| self.vectors.half_square(row))
                .collect();
            let searched = nearest.par_iter_mut().zip(&queries);
            searched.zip(products.par_chunks(part.len())).for_each(
                |((nearest, &query), products)| {
                    for ((&row, &half), &product) in part.iter().zip(&halves).zip(products) {
                        if row != query {
                            let nearness = f64::from(product) - half;
                            nearest.add(self.labels[row] == self.labels[query], row, nearness);
                        }
                    }
                },
            );
        }
        let distance = |a: usize, b: usize| self.vectors.squared_distance(a, b).sqrt();
        let margins = nearest
            .iter()
            .zip(&queries)
            .filter_map(|(nearest, &query)| {
                let (positive, _) = nearest.positive?;
                let (negative, _) = nearest.negative?;
                Some(distance(query, negative) - distance(query, positive))
            });
        let margins: Vec<f64> = margins.collect();
        let mean = margins.iter().sum::<f64>() / margins.len().max(1) as f64;
        Ok((!margins.is_empty()).then_some(mean))
    }
}

/// The nearest images of a query, with their nearness. Images that are equally near within the rounding of
/// products have nearly the same distance, so that either serves.
#[derive(Debug, Clone, Copy, Default)]
struct Nearest {
    positive: Option<(usize, f64)>,
    negative: Option<(usize, f64)>,
}

impl Nearest {
    fn add(&mut self, is_positive: bool, row: usize, nearness: f64) {
        let best = match is_positive {
            true => &mut self.positive,
            false => &mut self.negative,
        };
        if best.is_none_or(|(_, before)| nearness > before) {
            *best = Some((row, nearness));
        }
    }
}
