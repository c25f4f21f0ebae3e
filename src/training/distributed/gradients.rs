//! The sum of the gradients of all processes.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};

use crate::distribution::ProcessGroup;
use crate::model::Embedder;

/// Sums the gradients of all processes in one exchange. Parameters without a gradient have none afterwards. Returns no
/// gradient if one process has none: its gradients overflow.
pub(super) fn sum_gradients<B: AutodiffBackend>(
    group: &ProcessGroup,
    embedder: &Embedder<B>,
    own: GradientsParams,
) -> GradientsParams {
    if group.any(own.is_empty()) {
        return GradientsParams::new();
    }
    let mut pack = Pack {
        gradients: own,
        values: Vec::new(),
        packed: Vec::new(),
    };
    embedder.visit(&mut pack);
    let Pack {
        mut values,
        packed,
        gradients,
    } = pack;
    group.sum(&mut values);
    let mut unpack = Unpack {
        values: &values,
        packed: packed.into_iter(),
        next: None,
        gradients,
    };
    unpack.next = unpack.packed.next();
    embedder.visit(&mut unpack);
    unpack.gradients
}

/// Moves the gradients of the parameters that it visits to one buffer.
struct Pack {
    gradients: GradientsParams,
    values: Vec<f32>,
    /// The parameters in the buffer, in their order.
    packed: Vec<ParamId>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Pack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let gradient = self.gradients.remove::<B::InnerBackend, D>(param.id);
        let Some(gradient) = gradient else {
            return;
        };
        let data = gradient.into_data().convert::<f32>();
        let values = data.as_slice::<f32>().expect("just converted");
        self.values.extend_from_slice(values);
        self.packed.push(param.id);
    }
}

/// Moves them back.
struct Unpack<'a> {
    values: &'a [f32],
    packed: std::vec::IntoIter<ParamId>,
    /// The parameter whose gradient is the first of `values`.
    next: Option<ParamId>,
    gradients: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Unpack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.next != Some(param.id) {
            return;
        }
        let value = param.val();
        let (own, rest) = self.values.split_at(value.shape().num_elements());
        let data = TensorData::new(own.to_vec(), value.shape());
        let gradient = Tensor::<B::InnerBackend, D>::from_data(data, &value.device());
        self.gradients.register(param.id, gradient);
        self.values = rest;
        self.next = self.packed.next();
    }
}
