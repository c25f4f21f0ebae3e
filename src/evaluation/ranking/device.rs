//! Ranking on a GPU: products that resolve the distances of near embeddings, and comparisons by tiles.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

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
        let counts = Counts::new(nearness, queries, search.gallery.len(), reduce.nearest);
        for (query, ranks) in queries.iter().zip(counts.ranks()) {
            if query.positive_count() > 0 {
                results[query.number] = Some((reduce.ranks)(&ranks));
            }
        }
        task.advance(queries.len())?;
    }
    task.finish();
    Ok(results)
}

/// How near the positives of each query are, and how many images of other classes are at least as near.
struct Counts {
    /// `[Q, P]`; greater is nearer.
    nearness: Vec<f64>,
    /// `[Q, P]`
    nearer: Vec<i64>,
    /// The number of positives of each query, at most P.
    positives: Vec<usize>,
    /// P, the most positives of a query.
    most: usize,
}

impl Counts {
    /// Counts from the `nearness` of queries and gallery, `[Q, G]`.
    fn new<B: Backend>(
        nearness: Tensor<B, 2>,
        queries: &[Query],
        gallery: usize,
        nearest: bool,
    ) -> Self {
        let device = nearness.device();
        let positives: Vec<usize> = queries.iter().map(Query::positive_count).collect();
        let most = positives.iter().copied().max().unwrap_or(0).max(1);
        // Positions of the positives. A query with fewer repeats its last one, one with none has the first
        // image, which is not used.
        let positions = queries.iter().flat_map(|query| {
            let last = query.positives().last().unwrap_or(0);
            let padded = query.positives().chain(std::iter::repeat(last));
            padded.take(most).map(|at| at as i32)
        });
        let positions = int_tensor::<B>(positions.collect(), [queries.len(), most], &device);
        let mut limits = nearness.clone().gather(1, positions);
        if nearest {
            limits = limits.max_dim(1);
        }
        let bounds = |bound: fn(&Query) -> usize| {
            let bounds = queries.iter().map(|query| bound(query) as i32).collect();
            int_tensor::<B>(bounds, [queries.len(), 1], &device)
        };
        let columns = Tensor::<B, 1, Int>::arange(0..gallery as i64, &device).unsqueeze_dim::<2>(0);
        let same_class = columns
            .clone()
            .greater_equal(bounds(|query| query.class.start))
            .bool_and(columns.lower(bounds(|query| query.class.end)));
        let others = nearness.mask_fill(same_class, f32::NEG_INFINITY);
        let [count, most] = limits.dims();
        let nearer = (0..most).map(|k| {
            let limit = limits.clone().slice([0..count, k..k + 1]);
            others.clone().greater_equal(limit).int().sum_dim(1)
        });
        let nearer = Tensor::cat(nearer.collect(), 1);
        Self {
            nearness: limits.into_data().convert::<f64>().iter().collect(),
            nearer: nearer.into_data().convert::<i64>().iter().collect(),
            positives: positives.iter().map(|&count| count.min(most)).collect(),
            most,
        }
    }

    /// Returns for each query the ranks of its positives from 1, ascending.
    fn ranks(&self) -> impl Iterator<Item = Vec<usize>> {
        let nearness = self.nearness.chunks(self.most);
        let rows = nearness.zip(self.nearer.chunks(self.most));
        rows.zip(&self.positives)
            .map(|((nearness, nearer), &count)| {
                let mut positives: Vec<(f64, i64)> = nearness[..count]
                    .iter()
                    .copied()
                    .zip(nearer[..count].iter().copied())
                    .collect();
                positives.sort_by(|a, b| b.0.total_cmp(&a.0));
                let ranks = positives.iter().zip(1..);
                ranks.map(|((_, nearer), k)| *nearer as usize + k).collect()
            })
    }
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

fn int_tensor<B: Backend>(
    numbers: Vec<i32>,
    shape: [usize; 2],
    device: &B::Device,
) -> Tensor<B, 2, Int> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}
