//! Matrix products by one algorithm.
//!
//! Burn times some twenty algorithms for each kind of product and keeps the fastest, where autotuning is on. On CUDA
//! that compiles kernels for half a minute per kind; the fastest may round to TF32 or not, and differ between two
//! starts; and some have read past the end of their factors (docs/burn-0.21.md). The algorithms here are the same at
//! every start, and their loop over the common dimension has one buffer.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DType;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use super::arithmetic::{Arithmetic, arithmetic};

/// The product `[M, K]` × `[K, N]`, with a gradient if the backend has automatic differentiation. Factors in `f32` are
/// not rounded, on a GPU too.
///
/// Where [no kernel is available](super::available_with_gradient), it is Burn's product.
///
/// # Panics
/// If the columns of `left` are not as many as the rows of `right`.
pub fn matmul<B: Backend>(left: Tensor<B, 2>, right: Tensor<B, 2>) -> Tensor<B, 2> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if super::available_with_gradient::<B>() {
        return cube::matmul(left, right, cube::Units::Threads);
    }
    left.matmul(right)
}

/// [`matmul`] on matrix units, where the device has them: factors in `f32` are rounded to TF32 on NVIDIA GPUs, to 11
/// significant bits. [`Arithmetic`](super::Arithmetic) changes it.
///
/// # Panics
/// As [`matmul`].
pub fn matmul_tf32<B: Backend>(left: Tensor<B, 2>, right: Tensor<B, 2>) -> Tensor<B, 2> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if super::available_with_gradient::<B>() {
        match arithmetic() {
            Arithmetic::MatrixUnits => return cube::matmul(left, right, cube::Units::Matrix),
            Arithmetic::Exact => return cube::matmul(left, right, cube::Units::Threads),
            Arithmetic::Autotuned => {}
        }
    }
    left.matmul(right)
}

/// The product of the transpose of `left` `[K, M]` with `right` `[K, N]`, as [`matmul_tf32`]: `[M, N]`. K is the number
/// of positions of a batch, so on matrix units the sum is divided into parts that are computed at the same time, and the
/// result is in f32.
///
/// # Panics
/// If the rows are not as many.
pub fn sum_of_products<B: Backend>(left: Tensor<B, 2>, right: Tensor<B, 2>) -> Tensor<B, 2> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if arithmetic() == Arithmetic::MatrixUnits && super::available::<B>() {
        let ([k, m], [rows, n]) = (left.dims(), right.dims());
        assert_eq!(k, rows, "the common dimension of a product");
        let parts = parts_of_sum(k, m, n);
        let left = left.reshape([parts, k / parts, m]).swap_dims(1, 2);
        let right = right.reshape([parts, k / parts, n]);
        let products = cube::batched_product(left, right, DType::F32);
        return products.sum_dim(0).reshape([m, n]);
    }
    matmul_tf32(left.transpose(), right)
}

/// Returns into how many parts of the same length sums of `k` products with `m` × `n` results are divided.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn parts_of_sum(k: usize, m: usize, n: usize) -> usize {
    /// Parts of the sum times blocks of results: what fills a large GPU.
    const BLOCKS: usize = 512;
    /// Side of a block of results.
    const BLOCK: usize = 64;
    /// The shortest part.
    const SHORTEST: usize = 256;
    let blocks = m.div_ceil(BLOCK) * n.div_ceil(BLOCK);
    let wanted = (BLOCKS / blocks).min(k / SHORTEST).max(1);
    let parts = (1..=wanted).rev().find(|&parts| k.is_multiple_of(parts));
    parts.unwrap_or(1)
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) use cube::{Units, product};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use std::any::Any;
    use std::marker::PhantomData;

    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
    use burn::tensor::backend::Backend;
    use burn::tensor::ops::FloatTensor;
    use burn::tensor::{DType, Tensor};
    use burn_cubecl::CubeRuntime;
    use burn_cubecl::kernel::matmul::init_matmul_output;
    use burn_cubecl::ops::permute;
    use burn_cubecl::tensor::CubeTensor;
    use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
    use cubek::matmul::launch::{Strategy, launch_ref};
    use cubek::std::InputBinding;

    #[cfg(feature = "cuda")]
    use crate::kernels::launch::Cuda;
    #[cfg(feature = "wgpu")]
    use crate::kernels::launch::Wgpu;
    use crate::kernels::launch::{self, Kernel, primitive, tensor};

    /// What computes a product.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::kernels) enum Units {
        /// Matrix units, or threads if there are none for the format.
        Matrix,
        /// Threads, which do not round factors.
        Threads,
    }

    /// The product, where kernels are available.
    pub(super) fn matmul<B: Backend>(
        left: Tensor<B, 2>,
        right: Tensor<B, 2>,
        units: Units,
    ) -> Tensor<B, 2> {
        let [[_, inner], [rows, _]] = [left.dims(), right.dims()];
        assert_eq!(inner, rows, "the common dimension of a product");
        let factors: Box<dyn Any> = Box::new((primitive(left), primitive(right)));
        #[cfg(feature = "wgpu")]
        let factors = match matmul_on::<Wgpu, _>(factors, units) {
            Ok(result) => return tensor(downcast::<B>(result)),
            Err(factors) => factors,
        };
        #[cfg(feature = "cuda")]
        let factors = match matmul_on::<Cuda, _>(factors, units) {
            Ok(result) => return tensor(downcast::<B>(result)),
            Err(factors) => factors,
        };
        drop(factors);
        unreachable!("kernels are available")
    }

    fn downcast<B: Backend>(result: Box<dyn Any>) -> FloatTensor<B> {
        *result.downcast().expect("the result is of the backend")
    }

    /// Computes the product if the factors are of `P`, or of `P` with automatic differentiation. Otherwise returns
    /// the factors.
    fn matmul_on<P, R>(factors: Box<dyn Any>, units: Units) -> Result<Box<dyn Any>, Box<dyn Any>>
    where
        P: Backend<FloatTensorPrimitive = CubeTensor<R>>,
        R: CubeRuntime,
    {
        type Factors<B> = (FloatTensor<B>, FloatTensor<B>);

        let factors = match factors.downcast::<Factors<P>>() {
            Ok(factors) => {
                let dtype = factors.0.dtype;
                return Ok(Box::new(product(factors.0, factors.1, dtype, units)));
            }
            Err(factors) => factors,
        };
        let (left, right) = *factors.downcast::<Factors<Autodiff<P>>>()?;
        let nodes = [left.node.clone(), right.node.clone()];
        let (left, right) = (left.primitive, right.primitive);
        let dtype = left.dtype;
        let result = product(left.clone(), right.clone(), dtype, units);
        let prepared =
            Backward::<P, 2>::prepare::<NoCheckpointing>(Product(units, PhantomData), nodes);
        let result: FloatTensor<Autodiff<P>> = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((left, right), result),
            OpsKind::UnTracked(step) => step.finish(result),
        };
        Ok(Box::new(result))
    }

    /// The backward pass of a product.
    #[derive(Debug)]
    struct Product<R>(Units, PhantomData<R>);

    impl<P, R> Backward<P, 2> for Product<R>
    where
        P: Backend<FloatTensorPrimitive = CubeTensor<R>>,
        R: CubeRuntime,
    {
        type State = (CubeTensor<R>, CubeTensor<R>);

        fn backward(
            self,
            ops: Ops<Self::State, 2>,
            gradients: &mut Gradients,
            _checkpointer: &mut Checkpointer,
        ) {
            let (left, right) = ops.state;
            let product = |left: CubeTensor<R>, right| {
                let dtype = left.dtype;
                product(left, right, dtype, self.0)
            };
            binary::<P, _, _>(
                ops.parents,
                ops.node,
                gradients,
                |gradient| product(gradient, permute(right, &[1, 0])),
                |gradient| product(permute(left, &[1, 0]), gradient),
            );
        }
    }

    struct Batched(DType);

    impl Kernel<2, 1> for Batched {
        fn launch<R: CubeRuntime>(self, [left, right]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
            [product(left, right, self.0, Units::Matrix)]
        }
    }

    /// The products of matrices `[P, M, K]` and `[P, K, N]` in `dtype`, where kernels are available.
    pub(super) fn batched_product<B: Backend>(
        left: Tensor<B, 3>,
        right: Tensor<B, 3>,
        dtype: DType,
    ) -> Tensor<B, 3> {
        let factors = [primitive(left), primitive(right)];
        let [products] =
            launch::run::<B, 2, 1>(factors, Batched(dtype)).expect("kernels are available");
        tensor(products)
    }

    /// The product of two matrices, or of as many, of the same number format, in `dtype`.
    pub(in crate::kernels) fn product<R: CubeRuntime>(
        left: CubeTensor<R>,
        right: CubeTensor<R>,
        dtype: DType,
        units: Units,
    ) -> CubeTensor<R> {
        let output = init_matmul_output(&left, &right, dtype);
        let strategies = [
            Strategy::SimpleCyclicCmma(Default::default()),
            Strategy::SimpleUnit(Default::default()),
            Strategy::Naive,
        ];
        let strategies = match units {
            Units::Matrix => &strategies[..],
            Units::Threads => &strategies[1..],
        };
        let launched = strategies.iter().any(|strategy| {
            let global = MatmulGlobalElems {
                lhs: left.dtype.into(),
                rhs: right.dtype.into(),
                out: dtype.into(),
            };
            let binding = |factor: &CubeTensor<R>| {
                InputBinding::new(factor.clone().binding(), factor.dtype.into())
            };
            launch_ref(
                strategy,
                &output.client,
                binding(&left),
                binding(&right),
                output.clone().binding(),
                &mut MatmulElems::from_globals(&global),
            )
            .is_ok()
        });
        assert!(launched, "the naive algorithm computes every product");
        output
    }
}
