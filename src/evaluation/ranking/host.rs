//! Ranking on the CPU: products by tiles in `f32`, comparison with limits, and `f64` between the limits.
//!
//! A tile is compared twice if queries and gallery are the same images, once for its rows and once for its
//! columns, so that half of the products suffice.

use std::ops::Range;

use rayon::prelude::*;

use super::super::tiles::{Matrix, PairProgress, Tile, Tiling, for_each_tile};
use super::super::vectors::Vectors;
use super::Reduce;
use super::search::{Query, Search};
use super::thresholds::Thresholds;
use crate::cancellation::Cancelled;
use crate::progress::{Monitor, Task, Unit};

/// The most distances to positives that are kept at once: 160 MiB.
const MOST_THRESHOLDS: usize = 1 << 23;
/// Columns of a tile that are transposed at once.
const TRANSPOSED: usize = 64;

/// Returns for each query `reduce` of the ranks of its positives, or of the nearest one; `None` for a query
/// without positives.
pub(super) fn rank<T: Send>(
    search: &Search,
    vectors: &Vectors,
    reduce: &Reduce<T>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<T>>, Cancelled> {
    let mut results: Vec<Option<T>> = Vec::new();
    results.resize_with(search.query_count, || None);
    let task = monitor.task("ranking", Some(search.queries.len()), Unit::Queries);
    let ranking = Ranking::new(search, vectors, reduce, &task);
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

struct Ranking<'a> {
    search: &'a Search,
    vectors: &'a Vectors,
    /// Whether only the nearest positive of a query is ranked.
    nearest: bool,
    /// The gallery's moved rows.
    gallery: Vec<f32>,
    /// Half the squared lengths of the gallery's moved rows.
    halves: Vec<f32>,
    task: &'a Task<'a>,
}

impl<'a> Ranking<'a> {
    fn new<T>(
        search: &'a Search,
        vectors: &'a Vectors,
        reduce: &Reduce<T>,
        task: &'a Task<'a>,
    ) -> Self {
        let halves = search.gallery.iter();
        Self {
            nearest: reduce.nearest,
            gallery: vectors.moved(search.gallery.iter().copied()),
            halves: halves.map(|&row| vectors.half_square(row) as f32).collect(),
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
        let rows: Vec<f32>;
        let (dim, gallery) = (self.vectors.dim(), &self.gallery);
        let rows = match symmetric {
            true => gallery,
            false => {
                rows = self.vectors.moved(queries.iter().map(|query| query.row));
                &rows
            }
        };
        let tiling = Tiling::new(queries.len(), self.search.gallery.len());
        let tiles = match symmetric {
            true => tiling.above_diagonal(),
            false => tiling.all(),
        };
        let longest: Vec<f64> = tiling
            .columns()
            .map(|columns| self.longest(columns))
            .collect();
        let pairs = tiles
            .iter()
            .map(|(rows, columns)| rows.len() * columns.len());
        let progress = PairProgress::new(self.task, queries.len(), pairs.sum());
        let of_queries = tiling.divide(&mut thresholds);
        let (rows, gallery) = (Matrix::new(rows, dim), Matrix::new(gallery, dim));
        for_each_tile(rows, gallery, &tiles, |tile| {
            let [of_rows, of_columns] =
                [&tile.rows, &tile.columns].map(|range| tiling.block_of(range.start));
            {
                let mut thresholds = of_queries.lock(of_rows);
                let longest = longest[of_columns];
                self.count_rows(&tile, &mut thresholds, &queries[tile.rows.clone()], longest);
            }
            if symmetric && of_rows != of_columns {
                let mut thresholds = of_queries.lock(of_columns);
                let (queries, longest) = (&queries[tile.columns.clone()], longest[of_rows]);
                self.count_columns(&tile, &mut thresholds, queries, longest);
            }
            progress.advance(tile.products.len())
        })?;
        drop(of_queries);
        Ok(thresholds)
    }

    /// Returns the greatest length of moved rows of the gallery.
    fn longest(&self, gallery: Range<usize>) -> f64 {
        let rows = self.search.gallery[gallery].iter();
        rows.map(|&row| self.vectors.length(row))
            .fold(0.0, f64::max)
    }

    /// Compares each row of a tile with the limits of its query. The columns are images of the gallery of at most
    /// the length `longest`.
    fn count_rows(
        &self,
        tile: &Tile<'_>,
        thresholds: &mut [Thresholds],
        queries: &[Query],
        longest: f64,
    ) {
        let rows = tile.products.chunks(tile.columns.len());
        for ((thresholds, query), row) in thresholds.iter_mut().zip(queries).zip(rows) {
            self.count(row, thresholds, query, &tile.columns, longest);
        }
    }

    /// Compares each column of a tile with the limits of its query. The rows are images of the gallery of at most
    /// the length `longest`.
    fn count_columns(
        &self,
        tile: &Tile<'_>,
        thresholds: &mut [Thresholds],
        queries: &[Query],
        longest: f64,
    ) {
        // An odd number of cache lines, so that the columns do not compete for one place in the cache.
        let stride = (tile.rows.len().div_ceil(16) | 1) * 16;
        let mut columns = vec![0.0; TRANSPOSED * stride];
        let parts = thresholds.chunks_mut(TRANSPOSED);
        let parts = parts.zip(queries.chunks(TRANSPOSED)).enumerate();
        for (part, (thresholds, queries)) in parts {
            let first = part * TRANSPOSED;
            for (r, row) in tile.products.chunks(tile.columns.len()).enumerate() {
                let row = &row[first..first + queries.len()];
                for (column, &product) in columns.chunks_mut(stride).zip(row) {
                    column[r] = product;
                }
            }
            let columns = columns.chunks(stride).zip(thresholds.iter_mut());
            for ((column, thresholds), query) in columns.zip(queries) {
                let column = &column[..tile.rows.len()];
                self.count(column, thresholds, query, &tile.rows, longest);
            }
        }
    }

    /// Compares the products of a query with the images `gallery` of other classes, of at most the length
    /// `longest`.
    fn count(
        &self,
        products: &[f32],
        thresholds: &mut Thresholds,
        query: &Query,
        gallery: &Range<usize>,
        longest: f64,
    ) {
        let within = |at: usize| at.clamp(gallery.start, gallery.end);
        let class = within(query.class.start)..within(query.class.end);
        let error = self.vectors.error(query.row, longest);
        for part in [gallery.start..class.start, class.end..gallery.end] {
            let products = &products[part.start - gallery.start..part.end - gallery.start];
            thresholds.count(products, &self.halves[part.clone()], error, |i| {
                let row = self.search.gallery[part.start + i];
                self.vectors.squared_distance(query.row, row)
            });
        }
    }
}
