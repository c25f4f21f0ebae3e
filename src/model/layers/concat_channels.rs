//! Concatenation of maps along their channels.

use burn::tensor::{Tensor, backend::Backend};

/// Concatenates maps `[N, H, W, Cᵢ]` along their channels: `[N, H, W, ΣCᵢ]`.
///
/// Concatenates matrices: the gradient of each map is then a block of columns, which is copied row by
/// row.
pub(in crate::model) fn concat_channels<B: Backend>(maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    let [n, h, w, _] = maps[0].dims();
    let as_rows = |map: Tensor<B, 4>| {
        let channels = map.dims()[3];
        map.reshape([n * h * w, channels])
    };
    let rows = Tensor::cat(maps.into_iter().map(as_rows).collect(), 1);
    let channels = rows.dims()[1];
    rows.reshape([n, h, w, channels])
}

/// Splits a map `[N, H, W, ΣCᵢ]` into maps with these numbers of `channels`: the adjoint of
/// [`concat_channels`].
pub(in crate::model) fn split_channels<B: Backend>(
    map: Tensor<B, 4>,
    channels: &[usize],
) -> Vec<Tensor<B, 4>> {
    let [n, h, w, total] = map.dims();
    let rows = map.reshape([n * h * w, total]);
    let mut start = 0;
    let block = |&channels: &usize| {
        let columns = rows.clone().narrow(1, start, channels);
        start += channels;
        columns.reshape([n, h, w, channels])
    };
    channels.iter().map(block).collect()
}
