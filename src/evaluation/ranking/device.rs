//! Ranking on a GPU: products that resolve the distances of near embeddings, by tiles that the host counts.

use burn::tensor::{Int, Tensor, backend::Backend};
use rayon::prelude::*;

use super::Reduce;
use super::search::{Query, Search};
use crate::cancellation::Cancelled;
use crate::geometry::products::{Products, SplitRows};
use crate::geometry::widen;
use crate::progress::{Monitor, Unit};

/// Entries of one tile: 64 MiB in `f64`. A tile has as many rows as fit, so that memory grows with the number
/// of images N, not with N².
const TILE_ENTRIES: usize = 1 << 23;

/// Returns for each query `reduce` of the ranks of its positives, or of the nearest one; `None` for a query
/// without positives.
pub(super) fn rank<B: Backend, T>(
    search: &Search,
    embeddings: Tensor<B, 2>,
    reduce: &Reduce<T>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<T>>, Cancelled> {
    let mut results: Vec<Option<T>> = Vec::new();
    results.resize_with(search.query_count, || None);
    let device = embeddings.device();
    let rows = SplitRows::from_rows(widen(embeddings));
    let squares = rows.squares();
    let gallery = Rows::select(&rows, &squares, &search.gallery, &device);
    let squares_of_gallery = gallery.squares.transposed();

    let most = (TILE_ENTRIES / search.gallery.len()).max(1);
    let task = monitor.task("ranking", Some(search.queries.len()), Unit::Queries);
    for queries in search.queries.chunks(most) {
        let tile = queries.iter().map(|query| query.row).collect::<Vec<_>>();
        let tile = Rows::select(&rows, &squares, &tile, &device);
        let products = tile.embeddings.products(&gallery.embeddings);
        let nearness = products.nearness(&tile.squares, &squares_of_gallery);
        // Counted on the host: Burn 0.21's fusion computes wrong counts for comparisons with gathered limits.
        let nearness = nearness.into_data().convert::<f64>();
        let nearness = nearness.into_vec::<f64>().expect("they are f64");
        let rows = nearness.par_chunks(search.gallery.len()).zip(queries);
        let ranks = rows.map(|(nearness, query)| ranks_of(query, nearness, reduce.nearest));
        for (query, ranks) in queries.iter().zip(ranks.collect::<Vec<_>>()) {
            if query.positive_count() > 0 {
                results[query.number] = Some((reduce.ranks)(&ranks));
            }
        }
        task.advance(queries.len())?;
    }
    task.finish();
    Ok(results)
}

/// Returns the ranks, from 1 and ascending, of the positives of a query, or of the nearest one. `nearness` has a
/// number for each image of the gallery; greater is nearer.
fn ranks_of(query: &Query, nearness: &[f64], nearest: bool) -> Vec<usize> {
    let mut positives: Vec<f64> = query.positives().map(|at| nearness[at]).collect();
    positives.sort_by(|a, b| b.total_cmp(a));
    if nearest {
        positives.truncate(1);
    }
    // The number of images of other classes that are farther away than the positive before.
    let mut nearer = vec![0; positives.len()];
    for near in nearness[..query.class.start]
        .iter()
        .chain(&nearness[query.class.end..])
    {
        let first = positives.partition_point(|positive| positive > near);
        if let Some(count) = nearer.get_mut(first) {
            *count += 1;
        }
    }
    let mut before = 0;
    let counted = nearer
        .into_iter()
        .zip(1..)
        .map(|(nearer, k): (usize, usize)| {
            before += nearer;
            before + k
        });
    counted.collect()
}

/// Selected rows.
struct Rows<B: Backend> {
    /// `[N, D]`
    embeddings: SplitRows<B>,
    /// Squared lengths, `[N, 1]`.
    squares: Products<B>,
}

impl<B: Backend> Rows<B> {
    fn select(
        embeddings: &SplitRows<B>,
        squares: &Products<B>,
        rows: &[usize],
        device: &B::Device,
    ) -> Self {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let rows = Tensor::<B, 1, Int>::from_ints(rows.as_slice(), device);
        let select = |x: Tensor<B, 2>| x.select(0, rows.clone());
        Self {
            embeddings: embeddings.map(select),
            squares: squares.map(select),
        }
    }
}
