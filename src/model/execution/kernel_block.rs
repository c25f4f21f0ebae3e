//! A convolution block as one step of a [`Tape`], with the kernels for GPUs of this project.

use burn::tensor::{Tensor, backend::AutodiffBackend};

use super::{
    tape::{Tape, TapeMode, TapedMap},
    taped_block::register,
};
use crate::kernels::batch_norm::{self, Gradients, Parameters, Running, Then};
use crate::model::layers::{Activation, ConvolutionBlock};

impl<'m, B: AutodiffBackend> Tape<'m, B> {
    /// Convolution, batch norm with the batch's statistics, and activation, of a batch in one shard.
    ///
    /// The convolution's input and output are saved.
    ///
    /// # Panics
    /// If no [kernel is available](crate::kernels::available).
    pub(super) fn kernel_block(
        &mut self,
        block: &'m ConvolutionBlock<B>,
        x: TapedMap<B>,
    ) -> TapedMap<B> {
        let (kernel, weight) = (block.conv.kernel(), &block.conv.weight);
        let norm = &block.bn;
        let then = match block.activation {
            Activation::Relu => Then::Relu,
            Activation::Relu6 => Then::Relu6,
            Activation::None => Then::Nothing,
        };
        let parameters = Parameters {
            weight: norm.weight.val().inner(),
            bias: norm.bias.val().inner(),
            epsilon: norm.epsilon(),
        };
        let (index, input) = (x.tracked_index(), only(x.into_shards()));
        let kernel_weight = weight.val().inner();
        let convolved = kernel.forward(input.clone(), kernel_weight.clone());
        let running = Running {
            mean: norm.running_mean.value_sync().inner(),
            variance: norm.running_var.value_sync().inner(),
            momentum: norm.momentum(),
        };
        let (output, statistics, running) =
            batch_norm::forward(convolved.clone(), &parameters, running, then)
                .expect("kernels are available");
        if self.mode != TapeMode::Record {
            let with_batch = |values| Tensor::from_inner(values);
            norm.running_mean.update(with_batch(running.mean));
            norm.running_var.update(with_batch(running.variance));
        }
        self.step(
            vec![index],
            vec![output],
            move |output_gradient, gradients| {
                let Gradients { x, weight, bias } = batch_norm::backward(
                    convolved,
                    only(output_gradient),
                    &parameters,
                    &statistics,
                    then,
                )
                .expect("kernels are available");
                register(gradients, norm.bias.id, bias);
                register(gradients, norm.weight.id, weight);
                let (input_gradient, weight_gradient) =
                    kernel.gradients(input, kernel_weight, x, index.is_some());
                register(gradients, block.conv.weight.id, weight_gradient);
                input_gradient.into_iter().map(|map| vec![map]).collect()
            },
        )
    }
}

/// The only shard of a batch.
fn only<T>(shards: Vec<T>) -> T {
    let mut shards = shards.into_iter();
    shards.next().expect("a batch has a shard")
}
