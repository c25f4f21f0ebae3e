//! Inner products of many rows on the CPU, by tiles. A tile is computed and used by one thread, while it is in that
//! thread's cache, and no two threads share a tile.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::cancellation::Cancelled;
use crate::progress::Task;

/// The most rows and columns of a tile: 4 MiB for each thread.
const MOST: usize = 1024;
/// The fewest, if there are as many: products of fewer rows take longer per row.
const FEWEST: usize = 128;
/// Tiles for each thread, so that threads end at the same time.
const PER_THREAD: usize = 8;

/// Rows of `dim` numbers, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Matrix<'a> {
    /// Takes `values` as rows of `dim` numbers.
    ///
    /// # Panics
    /// If `dim` is 0 or the rows are not whole.
    pub(super) fn new(values: &'a [f32], dim: usize) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "whole rows");
        Self { values, dim }
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    fn part(&self, rows: &Range<usize>) -> Self {
        Self {
            values: &self.values[rows.start * self.dim..rows.end * self.dim],
            dim: self.dim,
        }
    }
}

/// The products of consecutive rows of one matrix with consecutive rows of another, the columns.
pub(super) struct Tile<'a> {
    /// The rows.
    pub(super) rows: Range<usize>,
    /// The columns.
    pub(super) columns: Range<usize>,
    /// The products, row by row.
    pub(super) products: &'a [f32],
}

/// The division of the products of `rows` rows and `columns` columns into tiles.
pub(super) struct Tiling {
    rows: usize,
    columns: usize,
    size: usize,
}

impl Tiling {
    /// Divides the products of so many rows and columns.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let tiles = PER_THREAD * rayon::current_num_threads();
        let side = (rows as f64 * columns as f64 / tiles as f64).sqrt() as usize;
        Self {
            rows,
            columns,
            // Whole vector registers.
            size: side.next_multiple_of(64).clamp(FEWEST, MOST),
        }
    }

    /// Returns the tile, counted along the rows, that contains a row or a column.
    pub(super) fn block_of(&self, at: usize) -> usize {
        at / self.size
    }

    /// Returns the columns of the tiles, in order.
    pub(super) fn columns(&self) -> impl Iterator<Item = Range<usize>> {
        blocks(self.columns, self.size)
    }

    /// Divides a number for each row among the tiles that contain it, to be locked while a thread uses it.
    pub(super) fn divide<'a, T>(&self, of_rows: &'a mut [T]) -> BlocksOfRows<'a, T> {
        assert_eq!(of_rows.len(), self.rows, "one for each row");
        BlocksOfRows(of_rows.chunks_mut(self.size).map(Mutex::new).collect())
    }

    /// Returns the rows and columns of every tile. Consecutive ones have other rows, so that threads do not wait for
    /// each other.
    pub(super) fn all(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let rows: Vec<_> = blocks(self.rows, self.size).collect();
        let of_columns = |columns: Range<usize>| {
            let rows = rows.iter().cloned();
            rows.map(move |rows| (rows, columns.clone()))
        };
        self.columns().flat_map(of_columns).collect()
    }

    /// Returns the rows and columns of the tiles on and above the diagonal. Consecutive ones have other rows and
    /// columns.
    ///
    /// # Panics
    /// If there are more rows than columns or fewer.
    pub(super) fn above_diagonal(&self) -> Vec<(Range<usize>, Range<usize>)> {
        assert_eq!(self.rows, self.columns, "a square");
        let blocks: Vec<_> = self.columns().collect();
        let diagonal = |distance: usize| {
            let pairs = blocks.iter().zip(&blocks[distance..]);
            pairs.map(|(rows, columns)| (rows.clone(), columns.clone()))
        };
        (0..blocks.len()).flat_map(diagonal).collect()
    }
}

/// Numbers of rows, divided among tiles.
pub(super) struct BlocksOfRows<'a, T>(Vec<Mutex<&'a mut [T]>>);

impl<'a, T> BlocksOfRows<'a, T> {
    /// Waits for the numbers of the rows in block `at`.
    pub(super) fn lock(&self, at: usize) -> MutexGuard<'_, &'a mut [T]> {
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Computes the products of each of the `tiles`, rows of `rows` and rows of `columns`, and calls `each` with them on
/// the thread that computed them. Errors of products are those of sums in `f32` in some order.
///
/// # Errors
/// The first of `each`; not all tiles are computed then.
pub(super) fn for_each_tile<E: Send>(
    rows: Matrix<'_>,
    columns: Matrix<'_>,
    tiles: &[(Range<usize>, Range<usize>)],
    each: impl Fn(Tile<'_>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let entries = tiles
        .iter()
        .map(|(rows, columns)| rows.len() * columns.len());
    let most = entries.max().unwrap_or(0);
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().min(tiles.len());
    (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .try_for_each(|_| {
            let mut products = vec![0.0; most];
            while let Some((of_rows, of_columns)) = tiles.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let products = &mut products[..of_rows.len() * of_columns.len()];
                multiply(rows.part(of_rows), columns.part(of_columns), products);
                each(Tile {
                    rows: of_rows.clone(),
                    columns: of_columns.clone(),
                    products,
                })?;
            }
            Ok(())
        })
}

/// Computes the products of every row of `rows` with every row of `columns`, on this thread.
///
/// # Panics
/// If the rows have other lengths than the columns, or `products` does not have a number for each pair.
fn multiply(rows: Matrix<'_>, columns: Matrix<'_>, products: &mut [f32]) {
    let (m, n, k) = (rows.len(), columns.len(), rows.dim);
    assert_eq!(columns.dim, k, "rows and columns of one length");
    assert_eq!(products.len(), m * n, "one product for each pair");
    let stride =
        |numbers: usize| isize::try_from(numbers).expect("a slice is at most isize::MAX long");
    // SAFETY: the pointers are to m rows of k numbers, n rows of k numbers, and m rows of n numbers, all row by row,
    // as the sizes and strides say. `products` is borrowed mutably, so it does not overlap the others.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            products.as_mut_ptr(),
            1,
            stride(n),
            false,
            rows.values.as_ptr(),
            1,
            stride(k),
            columns.values.as_ptr(),
            // The columns are rows of their matrix.
            stride(k),
            1,
            0.0_f32,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Counts compared pairs as units of a task.
pub(super) struct PairProgress<'a> {
    task: &'a Task<'a>,
    units: usize,
    pairs: usize,
    compared: AtomicUsize,
}

impl<'a> PairProgress<'a> {
    /// Counts `pairs` pairs as `units`.
    pub(super) fn new(task: &'a Task<'a>, units: usize, pairs: usize) -> Self {
        Self {
            task,
            units,
            pairs,
            compared: AtomicUsize::new(0),
        }
    }

    /// Counts so many pairs as compared.
    ///
    /// # Errors
    /// [`Cancelled`] if a stop was requested.
    pub(super) fn advance(&self, pairs: usize) -> Result<(), Cancelled> {
        let before = self.compared.fetch_add(pairs, Ordering::Relaxed);
        let units = |pairs: usize| {
            let share = pairs as f64 / self.pairs as f64;
            (share * self.units as f64) as usize
        };
        self.task.advance(units(before + pairs) - units(before))
    }
}

/// Divides `count` rows into blocks of at most `size`.
pub(super) fn blocks(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let block = move |start: usize| start..(start + size).min(count);
    (0..count).step_by(size).map(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, phase: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    }

    #[test]
    fn every_pair_has_its_product_once() {
        // One block; several, the last of which is not whole; more columns than rows; no row.
        for (rows, columns, dim) in [(3, 5, 1), (300, 700, 7), (1, 1500, 33), (0, 4, 2)] {
            let (a, b) = (wave(rows * dim, 0.0), wave(columns * dim, 1.0));
            let (a, b) = (Matrix::new(&a, dim), Matrix::new(&b, dim));
            let found = Mutex::new(vec![f64::NAN; rows * columns]);
            let tiling = Tiling::new(rows, columns);
            for_each_tile::<Cancelled>(a, b, &tiling.all(), |tile| {
                let mut found = found.lock().unwrap();
                for (r, products) in tile
                    .rows
                    .clone()
                    .zip(tile.products.chunks(tile.columns.len()))
                {
                    for (c, &product) in tile.columns.clone().zip(products) {
                        assert!(found[r * columns + c].is_nan(), "computed twice");
                        found[r * columns + c] = f64::from(product);
                    }
                }
                Ok(())
            })
            .unwrap();
            let found = found.into_inner().unwrap();
            for (at, found) in found.into_iter().enumerate() {
                let row = |matrix: Matrix<'_>, i: usize| matrix.part(&(i..i + 1)).values.to_vec();
                let pairs = row(a, at / columns).into_iter().zip(row(b, at % columns));
                let expected: f64 = pairs.map(|(x, y)| f64::from(x) * f64::from(y)).sum();
                // A sum of D terms of at most 1.
                let error = dim as f64 * f64::from(f32::EPSILON) * (dim as f64).sqrt();
                assert!(
                    (found - expected).abs() <= error,
                    "{at}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn tiles_above_the_diagonal_have_every_pair_once() {
        let count = 1000;
        let tiling = Tiling::new(count, count);
        let mut pairs = vec![0; count * count];
        for (rows, columns) in tiling.above_diagonal() {
            for (r, c) in rows.flat_map(|r| columns.clone().map(move |c| (r, c))) {
                pairs[r * count + c] += 1;
                if tiling.block_of(r) != tiling.block_of(c) {
                    pairs[c * count + r] += 1;
                }
            }
        }
        assert!(pairs.iter().all(|&times| times == 1));
    }

    #[test]
    fn an_error_ends_the_rest() {
        let rows = wave(4000, 0.0);
        let rows = Matrix::new(&rows, 1);
        let calls = AtomicUsize::new(0);
        let tiles = Tiling::new(4000, 4000).all();
        let result = for_each_tile(rows, rows, &tiles, |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            Err(Cancelled)
        });
        assert_eq!(result, Err(Cancelled));
        assert!(calls.into_inner() <= rayon::current_num_threads());
        assert!(tiles.len() > rayon::current_num_threads());
    }
}
