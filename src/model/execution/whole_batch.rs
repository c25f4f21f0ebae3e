//! Batch norm over a batch that several processes share.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::distribution::ProcessGroup;

/// A batch that several processes share, whose statistics are those of all its images ("synchronised batch norm").
#[derive(Debug, Clone)]
pub struct WholeBatch {
    /// The processes.
    pub group: ProcessGroup,
    /// Images of the batch in this process.
    pub own_images: usize,
    /// Images of the batch in all processes.
    pub images: usize,
}

impl WholeBatch {
    /// Returns the number of values per channel in all processes, of which `own` are in this one.
    pub(super) fn count(&self, own: usize) -> usize {
        own / self.own_images * self.images
    }

    /// Returns the sums of sums, `[1, C]` each, over all processes. They are exchanged at once.
    pub(super) fn sums<B: Backend, const N: usize>(
        &self,
        own: [Tensor<B, 2>; N],
    ) -> [Tensor<B, 2>; N] {
        let device = own[0].device();
        let [_, channels] = own[0].dims();
        let own = Tensor::cat(own.into(), 1).into_data().convert::<f32>();
        let mut values = own.into_vec::<f32>().expect("just converted");
        self.group.sum(&mut values);
        std::array::from_fn(|at| {
            let sum = values[at * channels..][..channels].to_vec();
            Tensor::from_data(TensorData::new(sum, [1, channels]), &device)
        })
    }
}
