//! The nearest centre of each row.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rayon::prelude::*;

use crate::geometry::products::{Products, SplitRows};
use crate::geometry::{is_host, transpose, widen};

/// Rows and columns of a tile on the CPU: 16 MiB.
const TILE: usize = 2048;
/// Entries of one tile on a GPU.
const TILE_ENTRIES: usize = 1 << 23;
/// Numbers of which the greatest is searched at once.
const CHUNK: usize = 256;
/// Numbers that are compared at once.
const LANES: usize = 16;

/// Rows that are assigned to centres, on a device.
pub(super) enum Rows<B: Backend> {
    Host(Tensor<B, 2>),
    Device {
        rows: SplitRows<B>,
        squares: Products<B>,
        count: usize,
        device: B::Device,
    },
}

impl<B: Backend> Rows<B> {
    /// Copies `rows`, `[N, D]`, of at most length 1 to the device.
    pub(super) fn new(rows: &[f32], dim: usize, device: &B::Device) -> Self {
        let count = rows.len() / dim;
        let tensor = matrix::<B>(rows, dim, device);
        match is_host::<B>(device) {
            true => Self::Host(tensor),
            false => {
                let rows = SplitRows::from_unit(widen(tensor));
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
    /// `advance` with the number of rows after each tile.
    ///
    /// # Errors
    /// Those of `advance`.
    pub(super) fn assign<E>(
        &self,
        centres: &[f32],
        dim: usize,
        mut advance: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<usize>, E> {
        match self {
            Self::Host(rows) => {
                let centres = Centres::<B>::new(centres, dim, &rows.device());
                let mut nearest = Vec::with_capacity(rows.dims()[0]);
                for block in blocks(rows.dims()[0], TILE) {
                    nearest.extend(centres.nearest(rows.clone().slice([block.clone()])));
                    advance(block.len())?;
                }
                Ok(nearest)
            }
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
                    advance(block.len())?;
                }
                Ok(nearest)
            }
        }
    }
}

/// Centres on the CPU.
struct Centres<B: Backend> {
    centres: Tensor<B, 2>,
    /// Half the squared lengths.
    halves: Vec<f32>,
}

impl<B: Backend> Centres<B> {
    fn new(centres: &[f32], dim: usize, device: &B::Device) -> Self {
        let half = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 2.0;
        Self {
            centres: matrix(centres, dim, device),
            halves: centres
                .par_chunks(dim)
                .map(|row| half(row) as f32)
                .collect(),
        }
    }

    /// Returns the numbers of the centres that are nearest to a block of rows.
    fn nearest(&self, rows: Tensor<B, 2>) -> Vec<usize> {
        let mut best = vec![(f32::NEG_INFINITY, 0); rows.dims()[0]];
        for block in blocks(self.halves.len(), TILE) {
            let centres = self.centres.clone().slice([block.clone()]);
            let products = rows.clone().matmul(transpose(centres)).into_data();
            let products = products.as_slice::<f32>().expect("they are f32");
            let rows = products.par_chunks(block.len());
            best.par_iter_mut().zip(rows).for_each(|(best, products)| {
                greatest(products, &self.halves[block.clone()], block.start, best);
            });
        }
        best.into_iter().map(|(_, number)| number).collect()
    }
}

/// Replaces `best` by the greatest difference of a product and a half, and its number from `first` on, if it
/// is greater. The first of equal ones wins.
fn greatest(products: &[f32], halves: &[f32], first: usize, best: &mut (f32, usize)) {
    let mut nearness = [f32::NEG_INFINITY; CHUNK];
    let chunks = products.chunks(CHUNK).zip(halves.chunks(CHUNK));
    for (chunk, (products, halves)) in chunks.enumerate() {
        nearness[products.len()..].fill(f32::NEG_INFINITY);
        for ((nearness, product), half) in nearness.iter_mut().zip(products).zip(halves) {
            *nearness = product - half;
        }
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for numbers in nearness.chunks_exact(LANES) {
            for (lane, &number) in lanes.iter_mut().zip(numbers) {
                *lane = if number > *lane { number } else { *lane };
            }
        }
        let most = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
        if most > best.0
            && let Some(at) = nearness.iter().position(|&number| number == most)
        {
            *best = (most, first + chunk * CHUNK + at);
        }
    }
}

fn blocks(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..count).step_by(size);
    starts.map(move |start| start..(start + size).min(count))
}

fn matrix<B: Backend>(rows: &[f32], dim: usize, device: &B::Device) -> Tensor<B, 2> {
    let shape = [rows.len() / dim, dim];
    Tensor::from_data(TensorData::new(rows.to_vec(), shape), device)
}
