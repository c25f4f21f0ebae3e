//! The launches of the kernels that compare curves.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::CubeDim;

use super::arc_kernel::compare_arcs;
use super::coefficients::COEFFICIENTS;
use super::segment_kernel::compare_segments;
use super::{Approach, PairProducts, backward_kernel};
use crate::kernels::differentiable::{self, Computed, Differentiable};
use crate::kernels::launch::{like, primitive, tensor};

pub(super) fn approach<B: Backend>(
    products: PairProducts<B>,
    approach: Approach,
) -> Option<Tensor<B, 2>> {
    let PairProducts {
        live,
        fixed,
        squared_middle_distances,
    } = products;
    let tensors = [&live, &fixed, &squared_middle_distances];
    let [pairs, _] = squared_middle_distances.dims();
    if pairs == 0 || tensors.iter().any(|tensor| tensor.dtype() != DType::F32) {
        return None;
    }
    let inputs = [fixed, squared_middle_distances].map(primitive);
    let (value, []) = differentiable::compute::<B, 2, 0, 1>(approach, primitive(live), inputs)?;
    Some(tensor(value))
}

impl Differentiable<2, 0, 1> for Approach {
    fn forward<R: CubeRuntime>(
        &self,
        _live: CubeTensor<R>,
        [products, squared_middle_distances]: [CubeTensor<R>; 2],
    ) -> Computed<R, 0, 1> {
        let [pairs, _] = squared_middle_distances.meta.shape().dims();
        let client = products.client.clone();
        let address = products
            .required_address_type()
            .max(squared_middle_distances.required_address_type());
        let value = like(&products, [pairs, pairs], DType::F32);
        let coefficients = like(&products, [COEFFICIENTS, pairs, pairs], DType::F32);
        let address = address.max(coefficients.required_address_type());
        let cube_dim = CubeDim::new(&client, pairs * pairs);
        let cubes = calculate_cube_count_elemwise(&client, pairs * pairs, cube_dim);
        let (products, middles) = (
            products.into_tensor_arg(),
            squared_middle_distances.into_tensor_arg(),
        );
        let values = value.clone().into_array_arg();
        let matrices = coefficients.clone().into_array_arg();
        match self {
            Self::ArcDistance | Self::ArcProduct => compare_arcs::launch::<R>(
                &client,
                cubes,
                cube_dim,
                address,
                products,
                middles,
                values,
                matrices,
                pairs,
                *self == Self::ArcDistance,
            ),
            Self::SegmentDistance => compare_segments::launch::<R>(
                &client, cubes, cube_dim, address, products, middles, values, matrices, pairs,
            ),
        }
        Computed {
            value,
            others: [],
            saved: [coefficients],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [coefficients]: [CubeTensor<R>; 1],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        backward_kernel::gradient_of_products(coefficients, gradient)
    }
}
