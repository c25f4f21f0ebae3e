//! A convolution block (convolution, batch norm, activation) as one step of a [`Tape`].

use burn::{
    module::ParamId,
    optim::GradientsParams,
    tensor::{
        DType, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    shards::{Rows, par_map, total},
    tape::{Inner, Tape, TapeMode, TapedMap, activation_gradient, saved_outputs},
    whole_batch::WholeBatch,
};
use crate::model::layers::ConvolutionBlock;

impl<'m, B: AutodiffBackend> Tape<'m, B> {
    /// Convolution and activation with a frozen batch norm folded into the kernel, as at evaluation:
    /// with the factor f = γ/√(σ² + ε), the activation of x ∗ (W f) + (β − μ f).
    pub(super) fn frozen_block(
        &mut self,
        block: &'m ConvolutionBlock<B>,
        x: TapedMap<B>,
    ) -> TapedMap<B> {
        let (kernel, weight) = (block.conv.kernel(), &block.conv.weight);
        let (norm, activation) = (&block.bn, block.activation);
        // On the inner backend: autodiff records nothing here.
        let deviation = (norm.running_var.value_sync().inner() + norm.epsilon()).sqrt();
        let mean = norm.running_mean.value_sync().inner();
        let factor = norm.weight.val().inner() / deviation.clone();
        let offset = norm.bias.val().inner() - mean.clone() * factor.clone();
        let unscaled = weight.val().inner();
        let algorithm = kernel.algorithm;
        let scaled = unscaled.clone() * factor.clone().unsqueeze();
        let (index, inputs) = (x.tracked_index(), x.shards);
        let x_tracked = index.is_some();
        let outputs = par_map(inputs.clone(), |x| {
            let output = kernel.forward(x, scaled.clone());
            let offset = offset.clone().cast(output.dtype());
            activation.forward(output + offset.unsqueeze())
        });
        let saved = saved_outputs(activation, &outputs);
        self.step(vec![index], outputs, move |output_gradient, gradients| {
            let shards = output_gradient.into_iter().zip(saved).zip(inputs).collect();
            let shards = par_map(shards, |((output_gradient, output), x)| {
                let gradient = activation_gradient(activation, output, output_gradient);
                let sums = Rows::from_map(gradient.clone()).sums(algorithm);
                (
                    kernel.gradients(x, scaled.clone(), gradient, x_tracked),
                    sums,
                )
            });
            let (shards, sums): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            let (input_gradients, scaled_gradients): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            let offset_gradient = total(sums).squeeze_dim::<1>(0);
            let scaled_gradient = total(scaled_gradients);
            let [k, _, channels_in, channels_out] = unscaled.dims();
            let products =
                (unscaled * scaled_gradient.clone()).reshape([k * k * channels_in, channels_out]);
            let factor_gradient =
                products.sum_dim(0).squeeze_dim::<1>(0) - offset_gradient.clone() * mean;
            register(gradients, norm.bias.id, offset_gradient);
            register(gradients, norm.weight.id, factor_gradient / deviation);
            register(gradients, weight.id, scaled_gradient * factor.unsqueeze());
            let input_gradients: Option<Vec<_>> = input_gradients.into_iter().collect();
            input_gradients.into_iter().collect()
        })
    }

    /// Convolution, batch norm with the batch's statistics, and activation.
    ///
    /// With x̂ = (v − μ)/√(σ² + ε) of the convolution's outputs v, L per channel, and g the gradient
    /// before the activation: ∂β = Σg, ∂γ = Σg x̂, ∂v = γ/√(σ² + ε) · (g − ∂β/L − x̂ ∂γ/L)
    /// (Ioffe & Szegedy 2015, section 3). Of a batch that processes share, the sums are over all of it. The batch norm is computed in f32, whatever the number format of
    /// the maps.
    pub(super) fn training_block(
        &mut self,
        block: &'m ConvolutionBlock<B>,
        x: TapedMap<B>,
    ) -> TapedMap<B> {
        let (kernel, weight) = (block.conv.kernel(), &block.conv.weight);
        let (norm, activation) = (&block.bn, block.activation);
        let (index, inputs) = (x.tracked_index(), x.shards);
        let x_tracked = index.is_some();
        let kernel_weight = weight.val().inner();
        let algorithm = kernel.algorithm;
        let convolved = par_map(inputs.clone(), |x| {
            let map = kernel.forward(x, kernel_weight.clone());
            let rows = Rows::from_map(map.cast(DType::F32));
            let sums = rows.sums(algorithm);
            (rows, sums)
        });
        let (convolved, sums): (Vec<_>, Vec<_>) = convolved.into_iter().unzip();
        let whole = self.whole_batch.clone();
        let own: usize = convolved.iter().map(Rows::count).sum();
        let count = whole.as_ref().map_or(own, |whole| whole.count(own));
        let share = 1.0 / count as f64;
        let [sum] = over_whole(whole.as_ref(), [total(sums)]);
        let mean = sum * share;
        let centred = par_map(convolved, |rows: Rows<Inner<B>>| {
            let centred = rows.map(|rows| rows - mean.clone());
            let squares = centred
                .clone()
                .map(|rows| rows.clone() * rows)
                .sums(algorithm);
            (centred, squares)
        });
        let (centred, squares): (Vec<_>, Vec<_>) = centred.into_iter().unzip();
        let [squares] = over_whole(whole.as_ref(), [total(squares)]);
        let variance = squares * share;
        if self.mode != TapeMode::Record {
            let statistic = |tensor: &Tensor<Inner<B>, 2>| Tensor::from_inner(tensor.clone());
            norm.update_running(statistic(&mean), statistic(&variance), count);
        }
        let inverse = (variance + norm.epsilon()).sqrt().recip();
        let scale = norm.weight.val().inner().unsqueeze() * inverse.clone();
        let shift: Tensor<Inner<B>, 2> = norm.bias.val().inner().unsqueeze();
        let precision = inputs[0].dtype();
        let outputs = par_map(centred.clone(), |rows| {
            let output = rows.map(|rows| rows * scale.clone() + shift.clone());
            output
                .map(|rows| activation.forward(rows).cast(precision))
                .into_map()
        });
        let saved = saved_outputs(activation, &outputs);
        self.step(vec![index], outputs, move |output_gradient, gradients| {
            let shards = output_gradient
                .into_iter()
                .zip(saved)
                .zip(centred)
                .collect();
            let shards = par_map(shards, |((output_gradient, output), centred)| {
                let gradient = activation_gradient(activation, output, output_gradient);
                let gradient = Rows::from_map(gradient.cast(DType::F32));
                let sums = gradient.sums(algorithm);
                let products = gradient
                    .clone()
                    .map(|rows| rows * centred.rows.clone())
                    .sums(algorithm);
                ((gradient, centred), (sums, products))
            });
            let (shards, sums): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            let (sums, products): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
            let beta_gradient = total(sums);
            let gamma_gradient = total(products) * inverse.clone();
            // The gradients of the parameters are this process's part; those of the inputs need all of them.
            let own = [beta_gradient.clone(), gamma_gradient.clone()];
            let [beta_sum, gamma_sum] = over_whole(whole.as_ref(), own);
            let offset = beta_sum * share;
            let slope = gamma_sum * inverse * share;
            register(gradients, norm.bias.id, beta_gradient.squeeze_dim::<1>(0));
            register(
                gradients,
                norm.weight.id,
                gamma_gradient.squeeze_dim::<1>(0),
            );

            let shards = shards.into_iter().zip(inputs).collect();
            let shards = par_map(shards, |((gradient, centred), x)| {
                let correction = centred.rows * slope.clone();
                let gradient = gradient
                    .map(|rows| {
                        let gradient = (rows - correction - offset.clone()) * scale.clone();
                        gradient.cast(precision)
                    })
                    .into_map();
                kernel.gradients(x, kernel_weight.clone(), gradient, x_tracked)
            });
            let (input_gradients, weight_gradients): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            register(gradients, weight.id, total(weight_gradients));
            let input_gradients: Option<Vec<_>> = input_gradients.into_iter().collect();
            input_gradients.into_iter().collect()
        })
    }
}

/// Sums over the processes of a whole batch, if there is one.
fn over_whole<B: Backend, const N: usize>(
    whole: Option<&WholeBatch>,
    own: [Tensor<B, 2>; N],
) -> [Tensor<B, 2>; N] {
    match whole {
        Some(whole) => whole.sums(own),
        None => own,
    }
}

/// Registers the gradient of a parameter.
pub(super) fn register<B: Backend, const D: usize>(
    gradients: &mut GradientsParams,
    id: ParamId,
    gradient: Tensor<B, D>,
) {
    gradients.register::<B, D>(id, gradient);
}
