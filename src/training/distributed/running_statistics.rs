//! The running statistics of batch norms whose batches are not shared.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use crate::distribution::ProcessGroup;
use crate::model::Embedder;
use crate::model::execution::{BatchNorms, Stages};

/// Replaces the running statistics of all batch norms by their means over the processes. Then all processes have the
/// same network, and a run that is resumed with another number of them continues from what each had.
pub(super) fn average_running_statistics<B: AutodiffBackend>(
    group: &ProcessGroup,
    embedder: &Embedder<B>,
) {
    let mut norms = BatchNorms(Vec::new());
    embedder.backbone.run((), &mut norms);
    let norms = norms.0.into_iter().filter(|norm| !norm.is_frozen());
    let states = norms.flat_map(|norm| [&norm.running_mean, &norm.running_var]);
    let states: Vec<_> = states.collect();
    if states.is_empty() {
        return;
    }
    let mut values = Vec::new();
    for state in &states {
        values.extend(floats(state.value_sync()));
    }
    group.sum(&mut values);
    let share = 1.0 / group.size() as f32;
    let mut sums = values.as_slice();
    for state in states {
        let value = state.value_sync();
        let (own, rest) = sums.split_at(value.dims()[0]);
        let means: Vec<f32> = own.iter().map(|sum| sum * share).collect();
        let means = TensorData::new(means, [own.len()]);
        state.update(Tensor::from_data(means, &value.device()));
        sums = rest;
    }
}

fn floats<B: Backend>(tensor: Tensor<B, 1>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().expect("just converted")
}
