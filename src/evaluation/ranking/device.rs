//! Ranking on a GPU: products that resolve the distances of near embeddings, by tiles.

use std::cmp::Ordering;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use rayon::prelude::*;

use super::super::vectors::Vectors;
use super::Reduce;
use super::search::{Query, Search};
use crate::cancellation::Cancelled;
use crate::geometry::products::SplitRows;
use crate::geometry::widen;
use crate::progress::{Monitor, Unit};

/// Entries of one tile: 64 MiB in `f64`. A tile has as many rows as fit, so that memory grows with the number
/// of images N, not with N².
const TILE_ENTRIES: usize = 1 << 23;

/// Returns for each query `reduce` of the ranks of its positives, or of the nearest one; `None` for a query
/// without positives.
///
/// The rows of each tile are uploaded, and not selected from a tensor on the device: Burn 0.21's fusion computes
/// wrong distances of selected rows (`docs/burn-0.21.md`).
pub(super) fn rank<B: Backend, T>(
    search: &Search,
    labels: &[usize],
    vectors: &Vectors,
    device: &B::Device,
    reduce: &Reduce<T>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<T>>, Cancelled> {
    let mut results: Vec<Option<T>> = Vec::new();
    results.resize_with(search.query_count, || None);
    let split = |rows: &[usize]| {
        let shape = [rows.len(), vectors.dim()];
        let data = TensorData::new(vectors.scaled(rows), shape);
        let rows = Tensor::<B, 2>::from_data(data, device);
        SplitRows::from_unit(widen(rows))
    };
    let gallery = split(&search.gallery);
    let squares_of_gallery = gallery.squares().transposed();
    let classes_of_gallery = search.gallery.iter().map(|&row| labels[row]);
    let classes_of_gallery = int_row::<B>(classes_of_gallery.collect(), device);

    let most = (TILE_ENTRIES / search.gallery.len()).max(1);
    let task = monitor.task("ranking", Some(search.queries.len()), Unit::Queries);
    for queries in search.queries.chunks(most) {
        let tile: Vec<usize> = queries.iter().map(|query| query.row).collect();
        let tile = split(&tile);
        let products = tile.products(&gallery);
        let nearness = products.nearness(&tile.squares(), &squares_of_gallery);
        let ranks = match reduce.nearest {
            true => nearest_ranks(nearness, queries, labels, classes_of_gallery.clone()),
            false => all_ranks(nearness, queries),
        };
        for (query, ranks) in queries.iter().zip(ranks) {
            if query.positive_count() > 0 {
                results[query.number] = Some((reduce.ranks)(&ranks));
            }
        }
        task.advance(queries.len())?;
    }
    task.finish();
    Ok(results)
}

/// Returns the rank of the nearest positive of each query. The device counts, and a number for each query is
/// read back. That of a query without positives is not meaningful.
///
/// # Shapes
/// - `nearness`: `[Q, G]`; greater is nearer
/// - `classes_of_gallery`: `[1, G]`
fn nearest_ranks<B: Backend>(
    nearness: Tensor<B, 2>,
    queries: &[Query],
    labels: &[usize],
    classes_of_gallery: Tensor<B, 2, Int>,
) -> Vec<Vec<usize>> {
    let device = nearness.device();
    let column = |numbers: Vec<usize>| {
        let count = numbers.len();
        int_row::<B>(numbers, &device).reshape([count, 1])
    };
    let classes = column(queries.iter().map(|query| labels[query.row]).collect());
    // A query that is not in the gallery is beyond its end.
    let gallery = classes_of_gallery.dims()[1];
    let itself = queries.iter().map(|query| query.itself.unwrap_or(gallery));
    let itself = column(itself.collect());
    let columns = Tensor::<B, 1, Int>::arange(0..gallery as i64, &device).unsqueeze_dim::<2>(0);
    let same_class = classes.equal(classes_of_gallery);
    let not_positive = same_class.clone().bool_not().bool_or(itself.equal(columns));
    let nearest_positive = nearness
        .clone()
        .mask_fill(not_positive, f32::NEG_INFINITY)
        .max_dim(1);
    let nearer = nearness
        .mask_fill(same_class, f32::NEG_INFINITY)
        .greater_equal(nearest_positive)
        .int()
        .sum_dim(1);
    let nearer = nearer.into_data().convert::<i64>();
    nearer
        .iter::<i64>()
        .map(|nearer| vec![nearer as usize + 1])
        .collect()
}

/// Returns the ranks of all positives of each query. The host counts; the tile is read once.
fn all_ranks<B: Backend>(nearness: Tensor<B, 2>, queries: &[Query]) -> Vec<Vec<usize>> {
    let gallery = nearness.dims()[1];
    let data = nearness.into_data();
    if let Ok(nearness) = data.as_slice::<f32>() {
        return all_ranks_on_host(nearness, gallery, queries);
    }
    let nearness = data.convert::<f64>();
    let nearness = nearness.as_slice::<f64>().expect("they are f64");
    all_ranks_on_host(nearness, gallery, queries)
}

fn all_ranks_on_host<N: Copy + PartialOrd + Sync>(
    nearness: &[N],
    gallery: usize,
    queries: &[Query],
) -> Vec<Vec<usize>> {
    let rows = nearness.par_chunks(gallery).zip(queries);
    rows.map(|(nearness, query)| ranks_of(query, nearness))
        .collect()
}

/// Returns the ranks, from 1 and ascending, of the positives of a query. `nearness` has a number for each image
/// of the gallery; greater is nearer.
fn ranks_of<N: Copy + PartialOrd>(query: &Query, nearness: &[N]) -> Vec<usize> {
    let mut positives: Vec<N> = query.positives().map(|at| nearness[at]).collect();
    positives.sort_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
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

/// Numbers as `[1, N]`.
fn int_row<B: Backend>(numbers: Vec<usize>, device: &B::Device) -> Tensor<B, 2, Int> {
    let numbers: Vec<i32> = numbers.into_iter().map(|number| number as i32).collect();
    Tensor::<B, 1, Int>::from_ints(numbers.as_slice(), device).unsqueeze_dim(0)
}
