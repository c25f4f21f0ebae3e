//! Kernels as steps of Burn's automatic differentiation.
//!
//! Kernels of a layer take tensors of the backend below automatic differentiation, because the model has a tape. The
//! tensors of a loss are of a backend that is generic: with or without automatic differentiation. Both are found here.

use std::any::Any;
use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

#[cfg(feature = "cuda")]
use super::launch::Cuda;
use super::launch::Kernel;
#[cfg(feature = "wgpu")]
use super::launch::Wgpu;

/// A function of one tensor with a gradient and `INPUTS` without, whose first result has a gradient and whose other
/// `OUTPUTS` have none.
///
/// The backward pass needs `SAVED` tensors.
pub(super) trait Differentiable<const INPUTS: usize, const OUTPUTS: usize, const SAVED: usize>:
    Clone + Debug + Send + 'static
{
    /// Computes the results. Inputs may have any strides.
    fn forward<R: CubeRuntime>(
        &self,
        x: CubeTensor<R>,
        inputs: [CubeTensor<R>; INPUTS],
    ) -> Computed<R, OUTPUTS, SAVED>;

    /// Returns the gradient of `x` from what [`forward`](Self::forward) saved and the gradient of the result, which may
    /// have any strides.
    fn backward<R: CubeRuntime>(
        self,
        saved: [CubeTensor<R>; SAVED],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R>;
}

/// The results of a [`Differentiable`].
pub(super) struct Computed<R: CubeRuntime, const OUTPUTS: usize, const SAVED: usize> {
    /// With a gradient.
    pub(super) value: CubeTensor<R>,
    /// Without gradient.
    pub(super) others: [CubeTensor<R>; OUTPUTS],
    /// For the backward pass.
    pub(super) saved: [CubeTensor<R>; SAVED],
}

/// The result with a gradient, and the others.
type Results<B, const OUTPUTS: usize> = (FloatTensor<B>, [FloatTensor<B>; OUTPUTS]);

/// Computes `function`, or returns `None` if no kernel is [available](super::available) on the backend, or on the
/// backend below its automatic differentiation.
pub(super) fn compute<B: Backend, const INPUTS: usize, const OUTPUTS: usize, const SAVED: usize>(
    function: impl Differentiable<INPUTS, OUTPUTS, SAVED>,
    x: FloatTensor<B>,
    inputs: [FloatTensor<B>; INPUTS],
) -> Option<Results<B, OUTPUTS>> {
    let arguments: Box<dyn Any> = Box::new((x, inputs));
    #[cfg(feature = "wgpu")]
    let arguments = match compute_on::<Wgpu, _, _, INPUTS, OUTPUTS, SAVED>(&function, arguments) {
        Ok(results) => return results.downcast().ok().map(|results| *results),
        Err(arguments) => arguments,
    };
    #[cfg(feature = "cuda")]
    let arguments = match compute_on::<Cuda, _, _, INPUTS, OUTPUTS, SAVED>(&function, arguments) {
        Ok(results) => return results.downcast().ok().map(|results| *results),
        Err(arguments) => arguments,
    };
    drop(arguments);
    None
}

/// Computes the results if the arguments are of `P`, or of `P` with automatic differentiation. Otherwise returns the
/// arguments.
fn compute_on<P, R, F, const INPUTS: usize, const OUTPUTS: usize, const SAVED: usize>(
    function: &F,
    arguments: Box<dyn Any>,
) -> Result<Box<dyn Any>, Box<dyn Any>>
where
    P: Backend<FloatTensorPrimitive = CubeTensor<R>>,
    R: CubeRuntime,
    F: Differentiable<INPUTS, OUTPUTS, SAVED>,
{
    type Arguments<B, const INPUTS: usize> = (FloatTensor<B>, [FloatTensor<B>; INPUTS]);

    let arguments = match arguments.downcast::<Arguments<P, INPUTS>>() {
        Ok(arguments) => {
            let (x, inputs) = *arguments;
            let Computed { value, others, .. } = function.forward(x, inputs);
            return Ok(Box::new((value, others)));
        }
        Err(arguments) => arguments,
    };
    let (x, inputs) = *arguments.downcast::<Arguments<Autodiff<P>, INPUTS>>()?;
    let node = x.node.clone();
    let inputs = inputs.map(|input| input.primitive);
    let Computed {
        value,
        others,
        saved,
    } = function.forward(x.primitive, inputs);
    let step = Step::<F, R, INPUTS, OUTPUTS, SAVED> {
        function: function.clone(),
        runtime: PhantomData,
    };
    let prepared = Backward::<P, 1>::prepare::<NoCheckpointing>(step, [node]);
    let value = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(saved, value),
        OpsKind::UnTracked(step) => step.finish(value),
    };
    let results: Results<Autodiff<P>, OUTPUTS> = (value, others.map(Autodiff::<P>::from_inner));
    Ok(Box::new(results))
}

/// Launches `kernel`, whose results have no gradient, or returns `None` if no kernel is [available](super::available) on
/// the backend, or on the backend below its automatic differentiation.
pub(super) fn constant<B: Backend, const INPUTS: usize, const OUTPUTS: usize>(
    inputs: [FloatTensor<B>; INPUTS],
    kernel: impl Kernel<INPUTS, OUTPUTS> + Clone,
) -> Option<[FloatTensor<B>; OUTPUTS]> {
    let inputs: Box<dyn Any> = Box::new(inputs);
    #[cfg(feature = "wgpu")]
    let inputs = match constant_on::<Wgpu, _, _, INPUTS, OUTPUTS>(&kernel, inputs) {
        Ok(results) => return results.downcast().ok().map(|results| *results),
        Err(inputs) => inputs,
    };
    #[cfg(feature = "cuda")]
    let inputs = match constant_on::<Cuda, _, _, INPUTS, OUTPUTS>(&kernel, inputs) {
        Ok(results) => return results.downcast().ok().map(|results| *results),
        Err(inputs) => inputs,
    };
    drop(inputs);
    None
}

/// [`compute_on`] for a kernel whose results have no gradient.
fn constant_on<P, R, K, const INPUTS: usize, const OUTPUTS: usize>(
    kernel: &K,
    inputs: Box<dyn Any>,
) -> Result<Box<dyn Any>, Box<dyn Any>>
where
    P: Backend<FloatTensorPrimitive = CubeTensor<R>>,
    R: CubeRuntime,
    K: Kernel<INPUTS, OUTPUTS> + Clone,
{
    let inputs = match inputs.downcast::<[FloatTensor<P>; INPUTS]>() {
        Ok(inputs) => return Ok(Box::new(kernel.clone().launch(*inputs))),
        Err(inputs) => inputs,
    };
    let inputs = *inputs.downcast::<[FloatTensor<Autodiff<P>>; INPUTS]>()?;
    let results = kernel.clone().launch(inputs.map(|input| input.primitive));
    Ok(Box::new(results.map(Autodiff::<P>::from_inner)))
}

/// The backward pass of a [`Differentiable`].
#[derive(Debug)]
struct Step<F, R, const INPUTS: usize, const OUTPUTS: usize, const SAVED: usize> {
    function: F,
    runtime: PhantomData<R>,
}

impl<P, R, F, const INPUTS: usize, const OUTPUTS: usize, const SAVED: usize> Backward<P, 1>
    for Step<F, R, INPUTS, OUTPUTS, SAVED>
where
    P: Backend<FloatTensorPrimitive = CubeTensor<R>>,
    R: CubeRuntime,
    F: Differentiable<INPUTS, OUTPUTS, SAVED>,
{
    type State = [CubeTensor<R>; SAVED];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        unary::<P, _>(ops.parents, ops.node, gradients, |gradient| {
            self.function.backward(ops.state, gradient)
        });
    }
}
