//! Adam's update of one parameter in one pass.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The numbers of an update, which are the same for every element.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Learning rate.
    pub rate: f64,
    /// β₁ and β₂.
    pub betas: [f32; 2],
    /// ε.
    pub epsilon: f32,
    /// λ of L2 weight decay, added to the gradient.
    pub weight_decay: f32,
    /// t, the number of updates so far, this one included.
    pub time: usize,
}

/// A parameter with its state.
#[derive(Debug, Clone)]
pub struct Parameter<B: Backend, const D: usize> {
    /// Its value.
    pub value: Tensor<B, D>,
    /// The mean of its gradients, m.
    pub moment_1: Tensor<B, D>,
    /// The mean of their squares, v.
    pub moment_2: Tensor<B, D>,
}

/// Updates a parameter with its gradient (Kingma & Ba 2015, algorithm 1, in the form at the end of section 2):
/// g ← g + λ p, m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
/// p ← p − rate · √(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε √(1 − β₂ᵗ)).
///
/// `None` if [no kernel is available](super::available), or if a tensor is not of f32.
pub fn step<B: Backend, const D: usize>(
    parameter: Parameter<B, D>,
    gradient: Tensor<B, D>,
    update: Update,
) -> Option<Parameter<B, D>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        cube::step(parameter, gradient, update)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (parameter, gradient, update);
        None
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use burn::tensor::backend::Backend;
    use burn::tensor::{DType, Tensor};
    use burn_cubecl::CubeRuntime;
    use burn_cubecl::kernel::into_contiguous;
    use burn_cubecl::tensor::CubeTensor;
    use cubecl::calculate_cube_count_elemwise;
    use cubecl::prelude::*;

    use super::{Parameter, Update};
    use crate::kernels::launch::{self, Kernel, like, primitive, tensor};

    #[cube(launch, address_type = "dynamic")]
    fn update_elements<N: Size>(
        value: &Array<Vector<f32, N>>,
        gradient: &Array<Vector<f32, N>>,
        moment_1: &Array<Vector<f32, N>>,
        moment_2: &Array<Vector<f32, N>>,
        new_value: &mut Array<Vector<f32, N>>,
        new_moment_1: &mut Array<Vector<f32, N>>,
        new_moment_2: &mut Array<Vector<f32, N>>,
        vectors: usize,
        beta_1: f32,
        beta_2: f32,
        weight_decay: f32,
        factor: f32,
        epsilon: f32,
    ) {
        if ABSOLUTE_POS >= vectors {
            terminate!();
        }
        let value = value[ABSOLUTE_POS];
        let gradient = gradient[ABSOLUTE_POS] + value * Vector::new(weight_decay);
        let m = moment_1[ABSOLUTE_POS] * Vector::new(beta_1) + gradient * Vector::new(1.0 - beta_1);
        let v = moment_2[ABSOLUTE_POS] * Vector::new(beta_2)
            + gradient * gradient * Vector::new(1.0 - beta_2);
        new_moment_1[ABSOLUTE_POS] = m;
        new_moment_2[ABSOLUTE_POS] = v;
        new_value[ABSOLUTE_POS] =
            value - m * Vector::new(factor) / (v.sqrt() + Vector::new(epsilon));
    }

    pub(super) fn step<B: Backend, const D: usize>(
        parameter: Parameter<B, D>,
        gradient: Tensor<B, D>,
        update: Update,
    ) -> Option<Parameter<B, D>> {
        let Parameter {
            value,
            moment_1,
            moment_2,
        } = parameter;
        let tensors = [&value, &gradient, &moment_1, &moment_2];
        if tensors.iter().any(|tensor| tensor.dtype() != DType::F32) {
            return None;
        }
        let inputs = [value, gradient, moment_1, moment_2].map(primitive);
        let [value, moment_1, moment_2] = launch::run::<B, 4, 3>(inputs, update)?;
        Some(Parameter {
            value: tensor(value),
            moment_1: tensor(moment_1),
            moment_2: tensor(moment_2),
        })
    }

    impl Kernel<4, 3> for Update {
        fn launch<R: CubeRuntime>(
            self,
            [value, gradient, moment_1, moment_2]: [CubeTensor<R>; 4],
        ) -> [CubeTensor<R>; 3] {
            let [value, gradient, moment_1, moment_2] =
                [value, gradient, moment_1, moment_2].map(into_contiguous);
            let client = value.client.clone();
            let elements = value.meta.num_elements();
            let vector = [4, 2].into_iter().find(|&v| elements.is_multiple_of(v));
            let vector = vector.unwrap_or(1);
            let vectors = elements / vector;
            let cube_dim = CubeDim::new(&client, vectors);
            let outputs = [(); 3].map(|()| like(&value, value.meta.shape().clone(), DType::F32));
            let [new_value, new_moment_1, new_moment_2] = outputs.clone();
            let time = self.time as i32;
            let [beta_1, beta_2] = self.betas;
            let correction = (1.0 - beta_2.powi(time)).sqrt();
            update_elements::launch::<R>(
                &client,
                calculate_cube_count_elemwise(&client, vectors, cube_dim),
                cube_dim,
                value.required_address_type(),
                vector,
                value.into_array_arg(),
                gradient.into_array_arg(),
                moment_1.into_array_arg(),
                moment_2.into_array_arg(),
                new_value.into_array_arg(),
                new_moment_1.into_array_arg(),
                new_moment_2.into_array_arg(),
                vectors,
                beta_1,
                beta_2,
                self.weight_decay,
                (self.rate * f64::from(correction / (1.0 - beta_1.powi(time)))) as f32,
                self.epsilon * correction,
            );
            outputs
        }
    }
}
