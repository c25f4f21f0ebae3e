//! Maps side by side along their channels.

use burn::tensor::{Tensor, backend::Backend};

/// Concatenates maps `[N, H, W, Cᵢ]` along their channels: `[N, H, W, ΣCᵢ]`.
///
/// As matrices: the gradient of each is then a block of columns, which is copied out by rows.
pub(in crate::model) fn side_by_side<B: Backend>(maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    let [n, h, w, _] = maps[0].dims();
    let as_rows = |map: Tensor<B, 4>| {
        let channels = map.dims()[3];
        map.reshape([n * h * w, channels])
    };
    let rows = Tensor::cat(maps.into_iter().map(as_rows).collect(), 1);
    let channels = rows.dims()[1];
    rows.reshape([n, h, w, channels])
}

/// The gradients of maps with so many `channels` each from that of the maps side by side.
pub(in crate::model) fn apart<B: Backend>(
    of_output: Tensor<B, 4>,
    channels: &[usize],
) -> Vec<Tensor<B, 4>> {
    let [n, h, w, total] = of_output.dims();
    let rows = of_output.reshape([n * h * w, total]);
    let mut start = 0;
    let block = |&channels: &usize| {
        let columns = rows.clone().narrow(1, start, channels);
        start += channels;
        columns.reshape([n, h, w, channels])
    };
    channels.iter().map(block).collect()
}
