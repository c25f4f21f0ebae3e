//! Batches split into shards of a few images, one shard per thread.

use burn::tensor::{Tensor, backend::Backend};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::model::layers::{ConvAlgorithm, channel_sums};

/// The shards of a map `[N, H, W, C]`, in order.
///
/// CPU backends run most operations on one thread. With shards, a layer keeps all threads busy, and
/// shards only exchange a batch norm's sums over the batch.
pub(super) type Shards<B> = Vec<Tensor<B, 4>>;

/// Splits `map` into one shard per thread, of at least one image each. [`ConvAlgorithm::Backend`] gets a
/// single shard, because Burn's kernels are parallel already.
pub(super) fn shard<B: Backend>(map: Tensor<B, 4>, algorithm: ConvAlgorithm) -> Shards<B> {
    let images = map.dims()[0];
    let shards = match algorithm {
        ConvAlgorithm::Im2col => rayon::current_num_threads().min(images),
        ConvAlgorithm::Backend => 1,
    };
    let start = |shard: usize| shard * images / shards;
    let sizes: Vec<usize> = (0..shards)
        .map(|shard| start(shard + 1) - start(shard))
        .collect();
    shard_by_sizes(map, &sizes)
}

/// The number of images in each shard.
pub(super) fn sizes<B: Backend>(shards: &Shards<B>) -> Vec<usize> {
    shards.iter().map(|shard| shard.dims()[0]).collect()
}

/// Splits `map` into shards with these numbers of images.
pub(super) fn shard_by_sizes<B: Backend>(map: Tensor<B, 4>, sizes: &[usize]) -> Shards<B> {
    if let [_] = sizes {
        return vec![map];
    }
    let mut start = 0;
    let shard = |&images: &usize| {
        let shard = map.clone().narrow(0, start, images);
        start += images;
        shard
    };
    sizes.iter().map(shard).collect()
}

/// Concatenates shards to one map.
pub(super) fn concat<B: Backend>(mut shards: Shards<B>) -> Tensor<B, 4> {
    match shards.len() {
        1 => shards.remove(0),
        _ => Tensor::cat(shards, 0),
    }
}

/// Applies `function` to every item, in parallel. Keeps the order.
pub(super) fn par_map<T: Send, R: Send>(
    items: Vec<T>,
    function: impl Fn(T) -> R + Sync + Send,
) -> Vec<R> {
    match items.len() {
        1 => items.into_iter().map(function).collect(),
        _ => items.into_par_iter().map(function).collect(),
    }
}

/// The sum of tensors of one shape.
///
/// # Panics
/// If `parts` is empty.
pub(super) fn total<B: Backend, const D: usize>(parts: Vec<Tensor<B, D>>) -> Tensor<B, D> {
    let sum = parts.into_iter().reduce(Tensor::add);
    sum.expect("a batch has at least one shard")
}

/// A map as a matrix with a row per position. Remembers the map's shape.
#[derive(Clone)]
pub(super) struct Rows<B: Backend> {
    /// `[N·H·W, C]`.
    pub(super) rows: Tensor<B, 2>,
    /// N, H, W.
    size: [usize; 3],
}

impl<B: Backend> Rows<B> {
    /// The rows of `map` `[N, H, W, C]`.
    pub(super) fn from_map(map: Tensor<B, 4>) -> Self {
        let [n, h, w, c] = map.dims();
        Self {
            rows: map.reshape([n * h * w, c]),
            size: [n, h, w],
        }
    }

    /// Applies `function`, which must keep the number of rows.
    pub(super) fn map(self, function: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            rows: function(self.rows),
            size: self.size,
        }
    }

    /// The map `[N, H, W, C]`.
    pub(super) fn into_map(self) -> Tensor<B, 4> {
        let ([n, h, w], [_, c]) = (self.size, self.rows.dims());
        self.rows.reshape([n, h, w, c])
    }

    /// The number of rows.
    pub(super) fn count(&self) -> usize {
        self.size.iter().product()
    }

    /// The sum of each column, `[1, C]`.
    pub(super) fn sums(&self, algorithm: ConvAlgorithm) -> Tensor<B, 2> {
        channel_sums(self.rows.clone(), self.size[0], algorithm)
    }
}
