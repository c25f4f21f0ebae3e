//! The nearest centre of each row.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rayon::prelude::*;

use crate::evaluation::tiles::{Matrix, Tiling, blocks, for_each_tile};
use crate::evaluation::vectors::{product_error, row, squared_distance};
use crate::geometry::products::{Products, SplitRows};
use crate::geometry::{is_host, widen};

/// Entries of one tile on a GPU.
const TILE_ENTRIES: usize = 1 << 23;
/// Numbers of which the greatest is searched at once.
const CHUNK: usize = 256;
/// Numbers that are compared at once.
const LANES: usize = 16;

/// Rows that are assigned to centres, on a device.
pub(super) enum Rows<'a, B: Backend> {
    Host(HostRows<'a>),
    Device {
        rows: SplitRows<B>,
        squares: Products<B>,
        count: usize,
        device: B::Device,
    },
}

impl<'a, B: Backend> Rows<'a, B> {
    /// Copies `rows`, `[N, D]`, of at most length 1 to the device.
    pub(super) fn new(rows: &'a [f32], dim: usize, device: &B::Device) -> Self {
        match is_host::<B>(device) {
            true => Self::Host(HostRows {
                rows,
                dim,
                lengths: rows.par_chunks(dim).map(length).collect(),
            }),
            false => {
                let count = rows.len() / dim;
                let rows = SplitRows::from_unit(widen(matrix::<B>(rows, dim, device)));
                Self::Device {
                    squares: rows.squares(),
                    rows,
                    count,
                    device: device.clone(),
                }
            }
        }
    }

    /// Returns for each row the number of the nearest of the `centres`, `[K, D]`, of at most length 1. Calls
    /// `check` after each tile.
    ///
    /// # Errors
    /// Those of `check`.
    pub(super) fn assign<E: Send>(
        &self,
        centres: &[f32],
        dim: usize,
        check: impl Fn() -> Result<(), E> + Sync,
    ) -> Result<Vec<usize>, E> {
        match self {
            Self::Host(rows) => Centres::new(centres, dim).nearest(rows, check),
            Self::Device {
                rows,
                squares,
                count,
                device,
            } => {
                let centre_count = centres.len() / dim;
                let centres = SplitRows::from_unit(widen(matrix::<B>(centres, dim, device)));
                let squares_of_centres = centres.squares().transposed();
                let mut nearest = Vec::with_capacity(*count);
                for block in blocks(*count, (TILE_ENTRIES / centre_count).max(1)) {
                    let part = |x: Tensor<B, 2>| x.slice([block.clone()]);
                    let products = rows.map(part).products(&centres);
                    let nearness = products.nearness(&squares.map(part), &squares_of_centres);
                    let numbers = nearness.argmax(1).into_data().convert::<i64>();
                    nearest.extend(numbers.iter::<i64>().map(|number| number as usize));
                    check()?;
                }
                Ok(nearest)
            }
        }
    }
}

/// Rows on the CPU.
pub(super) struct HostRows<'a> {
    rows: &'a [f32],
    dim: usize,
    lengths: Vec<f64>,
}

/// Centres on the CPU.
struct Centres<'a> {
    rows: &'a [f32],
    /// Half the squared lengths.
    halves: Vec<f32>,
    /// The greatest length.
    longest: f64,
}

impl<'a> Centres<'a> {
    fn new(rows: &'a [f32], dim: usize) -> Self {
        let lengths: Vec<f64> = rows.par_chunks(dim).map(length).collect();
        Self {
            halves: lengths
                .iter()
                .map(|length| (length * length / 2.0) as f32)
                .collect(),
            longest: lengths.into_iter().fold(0.0, f64::max),
            rows,
        }
    }

    /// Returns the numbers of the centres that are nearest to the rows. Products in `f32` decide, and distances in
    /// `f64` where another centre is as near within the error of the products.
    fn nearest<E: Send>(
        &self,
        rows: &HostRows<'_>,
        check: impl Fn() -> Result<(), E> + Sync,
    ) -> Result<Vec<usize>, E> {
        let dim = rows.dim;
        let mut best = vec![Best::default(); rows.lengths.len()];
        let tiling = Tiling::new(best.len(), self.halves.len());
        let of_rows = tiling.divide(&mut best);
        let (own, centres) = (Matrix::new(rows.rows, dim), Matrix::new(self.rows, dim));
        for_each_tile(own, centres, &tiling.all(), |tile| {
            let mut best = of_rows.lock(tiling.block_of(tile.rows.start));
            let halves = &self.halves[tile.columns.clone()];
            for (best, products) in best.iter_mut().zip(tile.products.chunks(halves.len())) {
                best.update(products, halves, tile.columns.start);
            }
            check()
        })?;
        drop(of_rows);
        let decided = best.par_iter().enumerate().map(|(i, best)| {
            let error = product_error(dim, rows.lengths[i], self.longest);
            match f64::from(best.nearness) - f64::from(best.second) > 2.0 * error {
                true => best.number,
                false => self.exactly_nearest(row(rows.rows, dim, i)),
            }
        });
        Ok(decided.collect())
    }

    /// The number of the centre at the least distance in `f64`, the first of equal ones.
    fn exactly_nearest(&self, row: &[f32]) -> usize {
        let distances = self.rows.chunks(row.len());
        let distances = distances
            .map(|centre| squared_distance(row, centre))
            .enumerate();
        let nearest = distances.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        nearest.map_or(0, |(number, _)| number)
    }
}

/// The nearest centre of a row so far.
#[derive(Clone, Copy)]
struct Best {
    /// Its product with the row, less half its squared length.
    nearness: f32,
    number: usize,
    /// The nearness of the second nearest centre.
    second: f32,
}

impl Default for Best {
    fn default() -> Self {
        Self {
            nearness: f32::NEG_INFINITY,
            number: 0,
            second: f32::NEG_INFINITY,
        }
    }
}

impl Best {
    /// Compares it with the centres from number `first` on.
    fn update(&mut self, products: &[f32], halves: &[f32], first: usize) {
        let mut nearness = [f32::NEG_INFINITY; CHUNK];
        let chunks = products.chunks(CHUNK).zip(halves.chunks(CHUNK));
        for (chunk, (products, halves)) in chunks.enumerate() {
            nearness[products.len()..].fill(f32::NEG_INFINITY);
            for ((nearness, product), half) in nearness.iter_mut().zip(products).zip(halves) {
                *nearness = product - half;
            }
            let mut most = [f32::NEG_INFINITY; LANES];
            let mut seconds = [f32::NEG_INFINITY; LANES];
            for numbers in nearness.chunks_exact(LANES) {
                for ((most, second), &number) in most.iter_mut().zip(&mut seconds).zip(numbers) {
                    let lesser = if number > *most { *most } else { number };
                    *second = if lesser > *second { lesser } else { *second };
                    *most = if number > *most { number } else { *most };
                }
            }
            let (mut greatest, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
            for number in most.into_iter().chain(seconds) {
                if number > greatest {
                    (greatest, second) = (number, greatest);
                } else if number > second {
                    second = number;
                }
            }
            if greatest > self.nearness {
                self.second = self.nearness.max(second);
                self.nearness = greatest;
                let at = nearness.iter().position(|&number| number == greatest);
                self.number = first + chunk * CHUNK + at.unwrap_or_default();
            } else {
                self.second = self.second.max(greatest);
            }
        }
    }
}

fn length(row: &[f32]) -> f64 {
    row.iter()
        .map(|&x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt()
}

fn matrix<B: Backend>(rows: &[f32], dim: usize, device: &B::Device) -> Tensor<B, 2> {
    let shape = [rows.len() / dim, dim];
    Tensor::from_data(TensorData::new(rows.to_vec(), shape), device)
}
