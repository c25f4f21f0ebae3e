//! The gradient of rows from that of their inner products.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use crate::kernels::differentiable::{self, Computed, Differentiable};
use crate::kernels::launch::{primitive, tensor};
use crate::kernels::matmul::{Units, product};

/// G x.
#[derive(Debug, Clone)]
struct RowGradient;

impl Differentiable<1, 0, 1> for RowGradient {
    fn forward<R: CubeRuntime>(
        &self,
        rows: CubeTensor<R>,
        [products]: [CubeTensor<R>; 1],
    ) -> Computed<R, 0, 1> {
        Computed {
            value: products,
            others: [],
            saved: [rows],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [rows]: [CubeTensor<R>; 1],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        product(gradient, rows, DType::F32, Units::Threads)
    }
}

pub(super) fn with_row_gradient<B: Backend>(
    products: Tensor<B, 2>,
    rows: Tensor<B, 2>,
) -> Option<Tensor<B, 2>> {
    let [count, dim] = rows.dims();
    let is_f32 = |tensor: &Tensor<B, 2>| tensor.dtype() == DType::F32;
    if count == 0 || dim == 0 || !is_f32(&rows) || !is_f32(&products) {
        return None;
    }
    let (rows, products) = (primitive(rows), primitive(products));
    let (value, []) = differentiable::compute::<B, 1, 0, 1>(RowGradient, rows, [products])?;
    Some(tensor(value))
}
