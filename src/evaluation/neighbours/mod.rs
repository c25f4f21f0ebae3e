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

use super::tiles::{Matrix, PairProgress, Tile, Tiling, blocks, for_each_tile};
use super::vectors::{Shift, is_finite, nearness_error, row, squared_distance};
use crate::cancellation::Cancelled;
use crate::geometry::products::SplitRows;
use crate::geometry::{is_host, widen};
use crate::progress::{Monitor, Unit};
use nearest::{Compared, Nearest, TileRow};

/// Rows that are moved at once on the CPU: 16 MiB of 512 numbers each.
const MOVED: usize = 8192;
/// Rows and columns of a tile on a GPU: 16 MiB.
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
/// Distances and their order are those in `f64`. Memory beyond the rows is a few times 16 MiB, and 16 bytes for each neighbour.
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
        let progress = PairProgress::new(&task, queries, queries * gallery);
        let on_host = is_host::<B>(self.device);
        let size = if on_host { MOVED } else { TILE };
        for others in blocks(gallery, size) {
            let columns = self.moved(self.search.gallery, &others);
            let halves = self.halves(&others);
            for own in blocks(queries, size) {
                let rows = self.moved(self.search.queries, &own);
                let pair = BlockPair {
                    own: own.clone(),
                    others: others.clone(),
                    halves: &halves,
                };
                let nearest = &mut nearest[own];
                match on_host {
                    true => self.compare_on_host(&pair, &rows, &columns, nearest, &progress)?,
                    false => {
                        let products = self.products(rows, columns.clone());
                        let queries = nearest.par_iter_mut().enumerate();
                        let products = products.par_chunks(pair.others.len());
                        let (columns, longest) = (0..pair.others.len(), self.longest(&pair.others));
                        queries.zip(products).for_each_init(
                            Vec::new,
                            |scratch, ((row, nearest), products)| {
                                let row = QueryRow {
                                    row,
                                    longest,
                                    products,
                                };
                                self.add(&pair, &columns, row, nearest, scratch);
                            },
                        );
                        progress.advance(pair.own.len() * pair.others.len())?;
                    }
                }
            }
        }
        task.finish();
        Ok(())
    }

    fn compare_on_host(
        &self,
        pair: &BlockPair<'_>,
        rows: &[f32],
        columns: &[f32],
        nearest: &mut [Nearest],
        progress: &PairProgress<'_>,
    ) -> Result<(), Cancelled> {
        let dim = self.search.dim;
        let tiling = Tiling::new(pair.own.len(), pair.others.len());
        let nearest = tiling.divide(nearest);
        let (rows, columns) = (Matrix::new(rows, dim), Matrix::new(columns, dim));
        for_each_tile(rows, columns, &tiling.all(), |tile: Tile<'_>| {
            let mut nearest = nearest.lock(tiling.block_of(tile.rows.start));
            let mut scratch = Vec::new();
            let first = pair.others.start;
            let longest = self.longest(&(first + tile.columns.start..first + tile.columns.end));
            let products = tile.products.chunks(tile.columns.len());
            for ((nearest, row), products) in nearest.iter_mut().zip(tile.rows).zip(products) {
                let row = QueryRow {
                    row,
                    longest,
                    products,
                };
                self.add(pair, &tile.columns, row, nearest, &mut scratch);
            }
            progress.advance(tile.products.len())
        })
    }

    /// Adds the rows `columns` of a block of the gallery to the nearest of a query.
    fn add(
        &self,
        pair: &BlockPair<'_>,
        columns: &Range<usize>,
        query: QueryRow<'_>,
        nearest: &mut Nearest,
        scratch: &mut Vec<(f32, usize)>,
    ) {
        let tile = TileRow {
            products: query.products,
            halves: &pair.halves[columns.clone()],
            first: pair.others.start + columns.start,
        };
        if let Some(query) = self.query(pair.own.start + query.row, query.longest) {
            nearest.add(&tile, &query, scratch);
        }
    }

    /// Returns the greatest length of moved rows of the gallery.
    fn longest(&self, gallery: &Range<usize>) -> f64 {
        let lengths = self.gallery_lengths[gallery.clone()].iter();
        lengths.copied().fold(0.0, f64::max)
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

    /// Returns the moved rows of a block.
    fn moved(&self, rows: &[f32], block: &Range<usize>) -> Vec<f32> {
        let dim = self.search.dim;
        self.shift.apply(&rows[block.start * dim..block.end * dim])
    }

    /// Returns the inner products of the rows, of a length of at most 1, on the device. Their error is at most that of
    /// a sum in `f32`.
    ///
    /// # Shapes
    /// - rows: `[R, D]`, columns: `[C, D]`, row by row
    /// - output: `[R, C]`, row by row
    fn products(&self, rows: Vec<f32>, columns: Vec<f32>) -> Vec<f32> {
        let [rows, columns] = [rows, columns].map(|rows| {
            let shape = [rows.len() / self.search.dim, self.search.dim];
            let rows = Tensor::<B, 2>::from_data(TensorData::new(rows, shape), self.device);
            // One product of a GPU may be less accurate than a sum in `f32`.
            SplitRows::from_unit(widen(rows))
        });
        let products = rows.products(&columns).linear(Clone::clone);
        let products = products.into_data().convert::<f32>();
        products.into_vec::<f32>().expect("they are f32")
    }
}

/// A block of the queries and a block of the gallery.
struct BlockPair<'a> {
    own: Range<usize>,
    others: Range<usize>,
    /// Half the squared lengths of the moved rows of the gallery.
    halves: &'a [f32],
}

/// The products of a query with rows of the gallery.
struct QueryRow<'a> {
    /// The query, in its block.
    row: usize,
    /// The greatest length of the rows of the gallery.
    longest: f64,
    products: &'a [f32],
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
