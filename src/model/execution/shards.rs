//! A batch cut into parts of some images each, one for each thread.

use burn::tensor::{Tensor, backend::Backend};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::model::layers::{ConvAlgorithm, channel_sums};

/// The parts of a map `[N, H, W, C]`, in order.
///
/// Backends of the processor carry out most operations on one thread. Cut into parts, a layer keeps
/// all threads busy, and only what a batch norm sums over the batch crosses the parts.
pub(super) type Shards<B> = Vec<Tensor<B, 4>>;

/// `map` in as many parts as there are threads, at most one for each image; in one where Burn's own
/// kernels compute, which have threads of their own.
pub(super) fn cut<B: Backend>(map: Tensor<B, 4>, algorithm: ConvAlgorithm) -> Shards<B> {
    let images = map.dims()[0];
    let parts = match algorithm {
        ConvAlgorithm::Im2col => rayon::current_num_threads().min(images),
        ConvAlgorithm::Backend => 1,
    };
    let start = |part: usize| part * images / parts;
    let sizes: Vec<usize> = (0..parts)
        .map(|part| start(part + 1) - start(part))
        .collect();
    cut_into(map, &sizes)
}

/// The numbers of images in the parts.
pub(super) fn sizes<B: Backend>(shards: &Shards<B>) -> Vec<usize> {
    shards.iter().map(|shard| shard.dims()[0]).collect()
}

/// `map` in parts of so many images.
pub(super) fn cut_into<B: Backend>(map: Tensor<B, 4>, sizes: &[usize]) -> Shards<B> {
    if let [_] = sizes {
        return vec![map];
    }
    let mut start = 0;
    let part = |&images: &usize| {
        let part = map.clone().narrow(0, start, images);
        start += images;
        part
    };
    sizes.iter().map(part).collect()
}

/// The map of some parts.
pub(super) fn joined<B: Backend>(mut shards: Shards<B>) -> Tensor<B, 4> {
    match shards.len() {
        1 => shards.remove(0),
        _ => Tensor::cat(shards, 0),
    }
}

/// `work` done on every part, on all threads.
pub(super) fn each<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    match parts.len() {
        1 => parts.into_iter().map(work).collect(),
        _ => parts.into_par_iter().map(work).collect(),
    }
}

/// The sum of tensors of one shape.
pub(super) fn total<B: Backend, const D: usize>(parts: Vec<Tensor<B, D>>) -> Tensor<B, D> {
    let sum = parts.into_iter().reduce(Tensor::add);
    sum.expect("a batch has at least one part")
}

/// A map as a matrix with a row for each position, and the way back.
#[derive(Clone)]
pub(super) struct Rows<B: Backend> {
    /// `[N·H·W, C]`.
    pub(super) rows: Tensor<B, 2>,
    /// N, H, W.
    size: [usize; 3],
}

impl<B: Backend> Rows<B> {
    /// The rows of `map` `[N, H, W, C]`.
    pub(super) fn of(map: Tensor<B, 4>) -> Self {
        let [n, h, w, c] = map.dims();
        Self {
            rows: map.reshape([n * h * w, c]),
            size: [n, h, w],
        }
    }

    /// The rows after `change`, which keeps their number.
    pub(super) fn map(self, change: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            rows: change(self.rows),
            size: self.size,
        }
    }

    /// The map `[N, H, W, C]`.
    pub(super) fn into_map(self) -> Tensor<B, 4> {
        let ([n, h, w], [_, c]) = (self.size, self.rows.dims());
        self.rows.reshape([n, h, w, c])
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.size.iter().product()
    }

    /// The sum of each column, `[1, C]`.
    pub(super) fn sums(&self, algorithm: ConvAlgorithm) -> Tensor<B, 2> {
        channel_sums(self.rows.clone(), self.size[0], algorithm)
    }
}
