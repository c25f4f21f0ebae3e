//! Ranking on the CPU: products by tiles in `f32`, comparison with limits, and `f64` between the limits.
//!
//! A tile is compared twice if queries and gallery are the same images, once for its rows and once for its
//! columns, so that half of the products suffice.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rayon::prelude::*;

use super::super::vectors::Vectors;
use super::Reduce;
use super::search::{Query, Search};
use super::thresholds::Thresholds;
use crate::cancellation::Cancelled;
use crate::geometry::transpose;
use crate::progress::{Monitor, Task, Unit};

/// Rows and columns of a tile: 16 MiB.
const TILE: usize = 2048;
/// The most distances to positives that are kept at once: 160 MiB.
const MOST_THRESHOLDS: usize = 1 << 23;
/// Columns of a tile that are transposed at once.
const TRANSPOSED: usize = 64;

/// Returns for each query `reduce` of the ranks of its positives, or of the nearest one; `None` for a query
/// without positives.
pub(super) fn rank<B: Backend, T: Send>(
    search: &Search,
    vectors: &Vectors,
    device: &B::Device,
    reduce: &Reduce<T>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<T>>, Cancelled> {
    let mut results: Vec<Option<T>> = Vec::new();
    results.resize_with(search.query_count, || None);
    let task = monitor.task("ranking", Some(search.queries.len()), Unit::Queries);
    let ranking = Ranking::<B>::new(search, vectors, reduce, device, &task);
    for queries in ranking.parts() {
        task.check()?;
        let thresholds = ranking.thresholds(queries.clone())?;
        for (query, ranks) in search.queries[queries].iter().zip(thresholds) {
            if query.positive_count() > 0 {
                results[query.number] = Some((reduce.ranks)(&ranks.into_ranks()));
            }
        }
    }
    task.finish();
    Ok(results)
}

struct Ranking<'a, B: Backend> {
    search: &'a Search,
    vectors: &'a Vectors,
    /// Whether only the nearest positive of a query is ranked.
    nearest: bool,
    /// The gallery's moved rows, `[G, D]`.
    gallery: Tensor<B, 2>,
    /// Half the squared lengths of the gallery's moved rows.
    halves: Vec<f32>,
    /// The greatest length of the moved rows in each block of the gallery.
    longest: Vec<f64>,
    task: &'a Task<'a>,
}

impl<'a, B: Backend> Ranking<'a, B> {
    fn new<T>(
        search: &'a Search,
        vectors: &'a Vectors,
        reduce: &Reduce<T>,
        device: &B::Device,
        task: &'a Task<'a>,
    ) -> Self {
        let halves = search.gallery.iter();
        Self {
            nearest: reduce.nearest,
            gallery: moved(vectors, search.gallery.iter().copied(), device),
            halves: halves.map(|&row| vectors.half_square(row) as f32).collect(),
            longest: search
                .gallery
                .chunks(TILE)
                .map(|rows| {
                    rows.iter()
                        .map(|&row| vectors.length(row))
                        .fold(0.0, f64::max)
                })
                .collect(),
            search,
            vectors,
            task,
        }
    }

    /// Divides the queries so that the distances to their positives fit in memory.
    fn parts(&self) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let (mut start, mut count) = (0, 0);
        for (at, query) in self.search.queries.iter().enumerate() {
            let own = match self.nearest {
                true => 1,
                false => query.positive_count(),
            };
            if count + own > MOST_THRESHOLDS && at > start {
                parts.push(start..at);
                (start, count) = (at, 0);
            }
            count += own;
        }
        parts.push(start..self.search.queries.len());
        parts
    }

    /// Counts for a part of the queries what is nearer than their positives.
    fn thresholds(&self, part: Range<usize>) -> Result<Vec<Thresholds>, Cancelled> {
        let queries = &self.search.queries[part.clone()];
        let new = |query: &Query| {
            let (gallery, vectors) = (&self.search.gallery, self.vectors);
            self.task.check()?;
            Ok(Thresholds::new(query, gallery, vectors, self.nearest))
        };
        let mut thresholds: Vec<Thresholds> =
            queries.par_iter().map(new).collect::<Result<_, _>>()?;
        if self.vectors.are_equal() {
            for (query, thresholds) in queries.iter().zip(&mut thresholds) {
                thresholds.all_are_as_near(self.search.gallery.len() - query.class.len());
            }
            self.task.advance(queries.len())?;
            return Ok(thresholds);
        }
        // All queries in one part are the gallery: half of the tiles suffice.
        let symmetric = self.search.is_symmetric && part.len() == self.search.queries.len();
        let rows = match symmetric {
            true => self.gallery.clone(),
            false => moved(
                self.vectors,
                queries.iter().map(|query| query.row),
                &self.gallery.device(),
            ),
        };
        let mut done = Done::new(queries.len(), self.search.gallery.len(), symmetric);
        for own in blocks(0..queries.len()) {
            let block = rows.clone().slice([own.clone()]);
            let first = if symmetric { own.start } else { 0 };
            for others in blocks(first..self.search.gallery.len()) {
                let gallery = self.gallery.clone().slice([others.clone()]);
                let products = block.clone().matmul(transpose(gallery)).into_data();
                let products = products.as_slice::<f32>().expect("they are f32");
                let tile = Tile {
                    products,
                    columns: others.len(),
                };
                self.count(
                    &tile,
                    &mut thresholds[own.clone()],
                    &queries[own.clone()],
                    &others,
                );
                if symmetric && others.start != own.start {
                    let thresholds = &mut thresholds[others.clone()];
                    self.count_columns(&tile, thresholds, &queries[others.clone()], &own);
                }
                self.task.advance(done.add(own.len() * others.len()))?;
            }
        }
        Ok(thresholds)
    }

    /// Compares each row of a tile with the limits of its query. The columns are `gallery`.
    fn count(
        &self,
        tile: &Tile<'_>,
        thresholds: &mut [Thresholds],
        queries: &[Query],
        gallery: &Range<usize>,
    ) {
        let rows = tile.products.par_chunks(tile.columns);
        let queries = thresholds.par_iter_mut().zip(queries);
        queries.zip(rows).for_each(|((thresholds, query), row)| {
            self.count_row(row, thresholds, query, gallery.clone());
        });
    }

    /// Compares each column of a tile with the limits of its query. The rows are `gallery`.
    fn count_columns(
        &self,
        tile: &Tile<'_>,
        thresholds: &mut [Thresholds],
        queries: &[Query],
        gallery: &Range<usize>,
    ) {
        // An odd number of cache lines, so that the columns do not compete for one place in the cache.
        let stride = (gallery.len().div_ceil(16) | 1) * 16;
        let parts = thresholds.par_chunks_mut(TRANSPOSED);
        let parts = parts.zip(queries.par_chunks(TRANSPOSED)).enumerate();
        parts.for_each_init(
            || vec![0.0; TRANSPOSED * stride],
            |columns, (part, (thresholds, queries))| {
                let first = part * TRANSPOSED;
                for (r, row) in tile.products.chunks(tile.columns).enumerate() {
                    let row = &row[first..first + queries.len()];
                    for (column, &product) in columns.chunks_mut(stride).zip(row) {
                        column[r] = product;
                    }
                }
                let columns = columns.chunks(stride).zip(thresholds.iter_mut());
                for ((column, thresholds), query) in columns.zip(queries) {
                    let column = &column[..gallery.len()];
                    self.count_row(column, thresholds, query, gallery.clone());
                }
            },
        );
    }

    /// Compares the products of a query with the images `gallery` of other classes.
    fn count_row(
        &self,
        products: &[f32],
        thresholds: &mut Thresholds,
        query: &Query,
        gallery: Range<usize>,
    ) {
        let within = |at: usize| at.clamp(gallery.start, gallery.end);
        let class = within(query.class.start)..within(query.class.end);
        let error = self
            .vectors
            .error(query.row, self.longest[gallery.start / TILE]);
        for part in [gallery.start..class.start, class.end..gallery.end] {
            let products = &products[part.start - gallery.start..part.end - gallery.start];
            thresholds.count(products, &self.halves[part.clone()], error, |i| {
                let row = self.search.gallery[part.start + i];
                self.vectors.squared_distance(query.row, row)
            });
        }
    }
}

/// Products of a block of queries with a block of the gallery.
struct Tile<'a> {
    products: &'a [f32],
    columns: usize,
}

fn moved<B: Backend>(
    vectors: &Vectors,
    rows: impl ExactSizeIterator<Item = usize>,
    device: &B::Device,
) -> Tensor<B, 2> {
    let shape = [rows.len(), vectors.dim()];
    Tensor::from_data(TensorData::new(vectors.moved(rows), shape), device)
}

fn blocks(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(TILE).map(move |at| at..(at + TILE).min(end))
}

/// The share of the pairs that was compared, as a number of queries.
struct Done {
    queries: usize,
    pairs: usize,
    compared: usize,
    reported: usize,
}

impl Done {
    fn new(queries: usize, gallery: usize, symmetric: bool) -> Self {
        let pairs = match symmetric {
            // The tiles of the diagonal are whole.
            true => blocks(0..queries)
                .map(|own| own.len() * (gallery - own.start))
                .sum(),
            false => queries * gallery,
        };
        Self {
            queries,
            pairs,
            compared: 0,
            reported: 0,
        }
    }

    /// Returns the queries that are done with `pairs` more.
    fn add(&mut self, pairs: usize) -> usize {
        self.compared += pairs;
        let share = self.compared as f64 / self.pairs as f64;
        let done = (share * self.queries as f64) as usize;
        let new = done - self.reported;
        self.reported = done;
        new
    }
}
