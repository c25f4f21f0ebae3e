//! Backward passes in f16, whose smallest number is 6e-8: many gradients are smaller.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{
        DType, ElementConversion, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{BackboneNetwork, execution::TapedForward};

/// The largest entry of the scaled gradient of the feature maps, 2⁻⁷.
///
/// f16 has numbers up to 65,504, and the gradients of the parameters are sums over all positions of a batch. With
/// random weights and 8 images of 96², the largest was 7,800 times the largest entry for ResNet-50, 1,300 times
/// for GoogLeNet. A batch of 128 images of 224² has 87 times the positions, so that the sums are 9 times
/// (independent terms) to 87 times as large. Entries down to 2⁻¹⁷ of the largest one are above f16's smallest
/// number.
const LARGEST_ENTRY: f32 = 0.007_812_5;

/// Replaces the largest entry of a gradient if that is smaller, so that the scale of a gradient of zeros is
/// finite.
const SMALLEST_DIVISOR: f32 = 1e-30;

/// Registers the gradients of the backbone's parameters in `gradients`, computed in f16 from the gradient of
/// the feature maps, `[N, h, w, features]`. Returns whether they are finite.
///
/// The gradient of the feature maps is scaled so that its largest entry is [`LARGEST_ENTRY`], and the
/// gradients of the parameters are divided by the scale (Micikevicius et al. 2018, section 3.2). The scale
/// depends on nothing but this gradient, so that a resumed run has the scales of the uninterrupted one.
pub(super) fn backward<B: AutodiffBackend>(
    backbone: &BackboneNetwork<B>,
    forward: TapedForward<'_, B, BackboneNetwork<B>>,
    maps_gradient: Tensor<B::InnerBackend, 4>,
    gradients: &mut GradientsParams,
) -> bool {
    let largest = maps_gradient.clone().abs().max();
    let divisor = largest.clamp_min(SMALLEST_DIVISOR) / LARGEST_ENTRY;
    let scaled = maps_gradient / divisor.clone().unsqueeze();
    forward.backward(scaled.cast(DType::F16), gradients);
    let mut unscaled = Unscaled {
        divisor,
        gradients,
        zeros: None,
    };
    backbone.visit(&mut unscaled);
    unscaled.are_finite()
}

/// Multiplies the gradients of the parameters that it visits by `divisor`, `[1]`.
struct Unscaled<'a, B: Backend> {
    divisor: Tensor<B, 1>,
    gradients: &'a mut GradientsParams,
    /// The sum of 0 · g over all entries g: 0, or NaN if an entry is infinite or NaN.
    zeros: Option<Tensor<B, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Unscaled<'_, B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        let gradient = self.gradients.remove::<B::InnerBackend, D>(parameter.id);
        if let Some(gradient) = gradient {
            let zero = (gradient.clone() * 0.0).sum();
            self.zeros = Some(match self.zeros.take() {
                Some(zeros) => zeros + zero,
                None => zero,
            });
            let unscaled = gradient * self.divisor.clone().unsqueeze();
            self.gradients.register(parameter.id, unscaled);
        }
    }
}

impl<B: Backend> Unscaled<'_, B> {
    /// Whether every gradient is finite. Waits for the device.
    fn are_finite(self) -> bool {
        let finite = |zeros: Tensor<B, 1>| zeros.into_scalar().elem::<f32>() == 0.0;
        self.zeros.is_none_or(finite)
    }
}
