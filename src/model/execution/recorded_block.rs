//! A convolution with its batch norm and activation as one step of a [`Recorder`].

use burn::{
    module::{Param, ParamId},
    optim::GradientsParams,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    Recorder,
    recorder::{Inner, Keeps, RecordedMap, before, kept_for},
    shards::{Rows, each, total},
};
use crate::model::layers::{Activation, BatchNorm, Kernel};

impl<'m, B: AutodiffBackend> Recorder<'m, B> {
    /// Convolution, batch norm and activation.
    pub(super) fn convolved<K: Kernel + 'm>(
        &mut self,
        kernel: K,
        weight: &'m Param<Tensor<B, 4>>,
        norm: &'m BatchNorm<B>,
        activation: Activation,
        x: RecordedMap<B>,
    ) -> RecordedMap<B> {
        match norm.is_frozen() {
            true => self.folded(kernel, weight, norm, activation, x),
            false => self.normalised(kernel, weight, norm, activation, x),
        }
    }

    /// Convolution and activation with a frozen batch norm folded into the kernel, as at evaluation:
    /// with the factor f = γ/√(σ² + ε), the activation of x ∗ (W f) + (β − μ f).
    fn folded<K: Kernel + 'm>(
        &mut self,
        kernel: K,
        weight: &'m Param<Tensor<B, 4>>,
        norm: &'m BatchNorm<B>,
        activation: Activation,
        x: RecordedMap<B>,
    ) -> RecordedMap<B> {
        // Nothing on the way to them is autodiff's.
        let deviation = (norm.running_var.value_sync().inner() + norm.epsilon()).sqrt();
        let mean = norm.running_mean.value_sync().inner();
        let factor = norm.weight.val().inner() / deviation.clone();
        let offset = norm.bias.val().inner() - mean.clone() * factor.clone();
        let plain = weight.val().inner();
        let algorithm = kernel.algorithm();
        let scaled = plain.clone() * factor.clone().unsqueeze();
        let (wanted, inputs) = (x.wanted(), x.shards);
        let wants_x = wanted.is_some();
        let outputs = each(inputs.clone(), |x| {
            let output = kernel.forward(x, scaled.clone()) + offset.clone().unsqueeze();
            activation.forward(output)
        });
        let kept = kept_for(activation, &outputs);
        self.step(vec![wanted], outputs, move |of_output, gradients| {
            let parts = of_output.into_iter().zip(kept).zip(inputs).collect();
            let parts = each(parts, |((of_output, output), x)| {
                let gradient = before(activation, output, of_output);
                let sums = Rows::of(gradient.clone()).sums(algorithm);
                (kernel.gradients(x, scaled.clone(), gradient, wants_x), sums)
            });
            let (parts, sums): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let (of_inputs, of_scaled): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let of_offset = total(sums).squeeze_dim::<1>(0);
            let of_scaled = total(of_scaled);
            let [k, _, channels_in, channels_out] = plain.dims();
            let products = (plain * of_scaled.clone()).reshape([k * k * channels_in, channels_out]);
            let of_factor = products.sum_dim(0).squeeze_dim::<1>(0) - of_offset.clone() * mean;
            register(gradients, norm.bias.id, of_offset);
            register(gradients, norm.weight.id, of_factor / deviation);
            register(gradients, weight.id, of_scaled * factor.unsqueeze());
            let of_inputs: Option<Vec<_>> = of_inputs.into_iter().collect();
            of_inputs.into_iter().collect()
        })
    }

    /// Convolution, batch norm by the batch's statistics, and activation.
    ///
    /// With x̂ = (v − μ)/√(σ² + ε) of the convolution's outputs v, L of them in a channel, and g the
    /// gradient before the activation: ∂β = Σg, ∂γ = Σg x̂, ∂v = γ/√(σ² + ε) · (g − ∂β/L − x̂ ∂γ/L)
    /// (Ioffe & Szegedy 2015, section 3).
    fn normalised<K: Kernel + 'm>(
        &mut self,
        kernel: K,
        weight: &'m Param<Tensor<B, 4>>,
        norm: &'m BatchNorm<B>,
        activation: Activation,
        x: RecordedMap<B>,
    ) -> RecordedMap<B> {
        let (wanted, inputs) = (x.wanted(), x.shards);
        let wants_x = wanted.is_some();
        let kernel_weight = weight.val().inner();
        let algorithm = kernel.algorithm();
        let convolved = each(inputs.clone(), |x| {
            let rows = Rows::of(kernel.forward(x, kernel_weight.clone()));
            let sums = rows.sums(algorithm);
            (rows, sums)
        });
        let (convolved, sums): (Vec<_>, Vec<_>) = convolved.into_iter().unzip();
        let count: usize = convolved.iter().map(Rows::count).sum();
        let share = 1.0 / count as f64;
        let mean = total(sums) * share;
        let centred = each(convolved, |rows: Rows<Inner<B>>| {
            let centred = rows.map(|rows| rows - mean.clone());
            let squares = centred
                .clone()
                .map(|rows| rows.clone() * rows)
                .sums(algorithm);
            (centred, squares)
        });
        let (centred, squares): (Vec<_>, Vec<_>) = centred.into_iter().unzip();
        let variance = total(squares) * share;
        if self.keeps != Keeps::Record {
            let statistic = |tensor: &Tensor<Inner<B>, 2>| Tensor::from_inner(tensor.clone());
            norm.update_running(statistic(&mean), statistic(&variance), count);
        }
        let inverse = (variance + norm.epsilon()).sqrt().recip();
        let scale = norm.weight.val().inner().unsqueeze() * inverse.clone();
        let shift: Tensor<Inner<B>, 2> = norm.bias.val().inner().unsqueeze();
        let outputs = each(centred.clone(), |rows| {
            let output = rows.map(|rows| rows * scale.clone() + shift.clone());
            output.map(|rows| activation.forward(rows)).into_map()
        });
        let kept = kept_for(activation, &outputs);
        self.step(vec![wanted], outputs, move |of_output, gradients| {
            let parts = of_output.into_iter().zip(kept).zip(centred).collect();
            let parts = each(parts, |((of_output, output), centred)| {
                let gradient = before(activation, output, of_output);
                let gradient = Rows::of(gradient);
                let sums = gradient.sums(algorithm);
                let products = gradient
                    .clone()
                    .map(|rows| rows * centred.rows.clone())
                    .sums(algorithm);
                ((gradient, centred), (sums, products))
            });
            let (parts, sums): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let (sums, products): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
            let of_shift = total(sums);
            let of_factor = total(products) * inverse.clone();
            let offset = of_shift.clone() * share;
            let slope = of_factor.clone() * inverse * share;
            register(gradients, norm.bias.id, of_shift.squeeze_dim::<1>(0));
            register(gradients, norm.weight.id, of_factor.squeeze_dim::<1>(0));

            let parts = parts.into_iter().zip(inputs).collect();
            let parts = each(parts, |((gradient, centred), x)| {
                let correction = centred.rows * slope.clone();
                let gradient = gradient
                    .map(|rows| (rows - correction - offset.clone()) * scale.clone())
                    .into_map();
                kernel.gradients(x, kernel_weight.clone(), gradient, wants_x)
            });
            let (of_inputs, of_weight): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            register(gradients, weight.id, total(of_weight));
            let of_inputs: Option<Vec<_>> = of_inputs.into_iter().collect();
            of_inputs.into_iter().collect()
        })
    }
}

fn register<B: Backend, const D: usize>(
    gradients: &mut GradientsParams,
    id: ParamId,
    gradient: Tensor<B, D>,
) {
    gradients.register::<B, D>(id, gradient);
}
