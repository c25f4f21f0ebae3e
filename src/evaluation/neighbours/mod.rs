//! The nearest neighbours of queries in a gallery, exactly.
//!
//! Products of tiles of the two are computed in `f32`, whose error is bounded. What may be among the k nearest is
//! compared by its distance in `f64`. Neither a matrix of all distances nor a copy of the rows is made.

mod nearest;
#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rayon::prelude::*;

use super::vectors::{Shift, is_finite, nearness_error, row, squared_distance};
use crate::cancellation::Cancelled;
use crate::geometry::products::SplitRows;
use crate::geometry::{is_host, transpose, widen};
use crate::progress::{Monitor, Unit};
use nearest::{Compared, Nearest, TileRow};

/// Rows and columns of a tile: 16 MiB.
const TILE: usize = 2048;

/// A row of a gallery near a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The row in the gallery, from 0.
    pub row: usize,
    /// The Euclidean distance to the query.
    pub distance: f64,
}

/// Queries, and the gallery in which they are searched.
///
/// # Shapes
/// - `queries`: `[Q, D]`, row by row
/// - `gallery`: `[G, D]`, row by row
#[derive(Clone, Copy)]
pub struct NeighbourSearch<'a> {
    /// The embeddings to search with.
    pub queries: &'a [f32],
    /// The embeddings to search in.
    pub gallery: &'a [f32],
    /// The dimension D of an embedding, at least 1.
    pub dim: usize,
    /// The most neighbours of a query.
    pub k: usize,
    /// Whether a query, the first number, is never a neighbour of a row of the gallery, the second: they are the same
    /// image.
    pub is_excluded: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

/// Returns the k nearest rows of the gallery for each query by Euclidean distance, the nearest first; fewer if the
/// gallery has fewer. Of rows as near, the first in the gallery is first. Rows that are not finite are not
/// neighbours, and have none.
///
/// Distances and their order are those in `f64`. Memory beyond the rows is 16 MiB, and 16 bytes for each neighbour.
/// Reports the share of the pairs that was compared as the queries of the task `searching`.
///
/// # Errors
/// If a stop was requested.
///
/// # Panics
/// If queries or gallery are not whole rows.
pub fn nearest_neighbours<B: Backend>(
    search: NeighbourSearch<'_>,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<Vec<Vec<Neighbour>>, Cancelled> {
    let NeighbourSearch { dim, k, .. } = search;
    let whole = |rows: &[f32]| dim > 0 && rows.len().is_multiple_of(dim);
    assert!(whole(search.queries) && whole(search.gallery), "whole rows");
    monitor.check()?;
    let count = search.queries.len() / dim;
    let mut nearest: Vec<Nearest> = (0..count).map(|_| Nearest::new(k)).collect();
    if k > 0 && count > 0 && !search.gallery.is_empty() {
        Tiles::<B>::new(search, device).compare(&mut nearest, monitor)?;
    }
    Ok(nearest.into_iter().map(Nearest::into_sorted).collect())
}

/// Queries and gallery, moved and scaled for products in `f32`.
struct Tiles<'a, B: Backend> {
    search: NeighbourSearch<'a>,
    shift: Shift,
    /// The lengths of the moved queries.
    query_lengths: Vec<f64>,
    /// The lengths of the moved rows of the gallery.
    gallery_lengths: Vec<f64>,
    device: &'a B::Device,
}

impl<'a, B: Backend> Tiles<'a, B> {
    fn new(search: NeighbourSearch<'a>, device: &'a B::Device) -> Self {
        let shift = Shift::of(search.gallery, search.queries, search.dim);
        Self {
            query_lengths: shift.lengths(search.queries),
            gallery_lengths: shift.lengths(search.gallery),
            search,
            shift,
            device,
        }
    }

    /// Compares every query with the whole gallery. A block of the gallery is compared with all queries before the
    /// next one.
    fn compare(&self, nearest: &mut [Nearest], monitor: Monitor<'_>) -> Result<(), Cancelled> {
        let (queries, gallery) = (self.query_lengths.len(), self.gallery_lengths.len());
        let task = monitor.task("searching", Some(queries), Unit::Queries);
        let (mut compared, mut reported) = (0, 0);
        for others in blocks(gallery) {
            let columns = self.tensor(self.search.gallery, &others);
            let halves = self.halves(&others);
            let lengths = &self.gallery_lengths[others.clone()];
            let longest = lengths.iter().copied().fold(0.0, f64::max);
            for own in blocks(queries) {
                let rows = self.tensor(self.search.queries, &own);
                let products = products(rows, columns.clone());
                let queries = nearest[own.clone()].par_iter_mut().zip(own.clone());
                queries
                    .zip(products.par_chunks(others.len()))
                    .for_each_init(Vec::new, |scratch, ((nearest, at), products)| {
                        let tile = TileRow {
                            products,
                            halves: &halves,
                            first: others.start,
                        };
                        if let Some(query) = self.query(at, longest) {
                            nearest.add(&tile, &query, scratch);
                        }
                    });
                compared += own.len() * others.len();
                let done = (compared as f64 / gallery as f64) as usize;
                task.advance(done - reported)?;
                reported = done;
            }
        }
        task.finish();
        Ok(())
    }

    /// Returns a query to compare with rows that are at most as long as `longest`; `None` if it is not finite.
    fn query(&self, at: usize, longest: f64) -> Option<Query<'_>> {
        let search = &self.search;
        let length = self.query_lengths[at];
        let query = row(search.queries, search.dim, at);
        is_finite(query).then(|| Query {
            search,
            at,
            row: query,
            error: nearness_error(search.dim, length, longest),
            half_square: length * length / 2.0,
            squared_scale: self.shift.squared_scale(),
        })
    }

    /// Returns half the squared lengths of rows of the gallery; NaN for rows that are not finite.
    fn halves(&self, rows: &Range<usize>) -> Vec<f32> {
        let half = |at: usize| {
            let length = self.gallery_lengths[at];
            match is_finite(row(self.search.gallery, self.search.dim, at)) {
                true => (length * length / 2.0) as f32,
                false => f32::NAN,
            }
        };
        rows.clone().map(half).collect()
    }

    fn tensor(&self, rows: &[f32], block: &Range<usize>) -> Tensor<B, 2> {
        let dim = self.search.dim;
        let moved = self.shift.apply(&rows[block.start * dim..block.end * dim]);
        Tensor::from_data(TensorData::new(moved, [block.len(), dim]), self.device)
    }
}

/// A query, and what is compared with its products.
struct Query<'a> {
    search: &'a NeighbourSearch<'a>,
    at: usize,
    row: &'a [f32],
    error: f64,
    half_square: f64,
    squared_scale: f64,
}

impl Compared for Query<'_> {
    fn error(&self) -> f64 {
        self.error
    }

    fn nearness(&self, squared: f64) -> f64 {
        self.half_square - self.squared_scale * squared / 2.0
    }

    fn is_neighbour(&self, row: usize) -> bool {
        !(self.search.is_excluded)(self.at, row)
    }

    fn squared_distance(&self, at: usize) -> f64 {
        squared_distance(self.row, row(self.search.gallery, self.search.dim, at))
    }
}

/// Returns the inner products of the rows, of a length of at most 1, with an error of at most that of a sum in `f32`.
///
/// # Shapes
/// - rows: `[R, D]`, columns: `[C, D]`
/// - output: `[R, C]`, row by row
fn products<B: Backend>(rows: Tensor<B, 2>, columns: Tensor<B, 2>) -> Vec<f32> {
    let products = match is_host::<B>(&rows.device()) {
        true => rows.matmul(transpose(columns)),
        // Products of a GPU may be less accurate than a sum in `f32`.
        false => {
            let [rows, columns] = [rows, columns].map(|rows| SplitRows::from_unit(widen(rows)));
            rows.products(&columns).linear(Clone::clone)
        }
    };
    let products = products.into_data().convert::<f32>();
    products.into_vec::<f32>().expect("they are f32")
}

fn blocks(count: usize) -> impl Iterator<Item = Range<usize>> {
    let block = move |at: usize| at..(at + TILE).min(count);
    (0..count).step_by(TILE).map(block)
}
