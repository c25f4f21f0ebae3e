//! Reverse-mode differentiation by whole layers.
//!
//! Autodiff records single operations: a batch norm alone is a dozen of them, each of which keeps one
//! map and reads another in the backward pass. Here a layer is one step with a hand-written adjoint,
//! which saves as few activations as possible, works in place and uses all threads.

use burn::{
    optim::GradientsParams,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    executor::Executor,
    shards::{Shards, par_map},
    whole_batch::WholeBatch,
};
use crate::kernels;
use crate::model::layers::{
    Activation, ConvAlgorithm, ConvolutionBlock, MaxPool, MaxPositions, concat_channels,
    split_channels,
};

pub(super) type Inner<B> = <B as AutodiffBackend>::InnerBackend;

/// Executes layers in training and records for each how the gradient of its output becomes the
/// gradients of its inputs and parameters. Batch norms use the batch's statistics.
pub struct Tape<'m, B: AutodiffBackend> {
    steps: Vec<Step<'m, B>>,
    /// The number of maps so far.
    maps: usize,
    pub(super) mode: TapeMode,
    /// For synchronised batch norms.
    pub(super) whole_batch: Option<WholeBatch>,
}

/// The side effects of a forward pass in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TapeMode {
    /// Records steps and updates the running statistics.
    RecordAndUpdateStatistics,
    /// Records steps only: the running statistics already include this batch.
    Record,
    /// Updates the running statistics only.
    UpdateStatistics,
}

/// A feature map on a [`Tape`].
pub struct TapedMap<B: AutodiffBackend> {
    index: usize,
    /// Whether its gradient is needed.
    tracked: bool,
    pub(super) shards: Shards<Inner<B>>,
}

impl<B: AutodiffBackend> Clone for TapedMap<B> {
    fn clone(&self) -> Self {
        Self {
            index: self.index,
            tracked: self.tracked,
            shards: self.shards.clone(),
        }
    }
}

/// Maps the gradient of a step's output to the gradients of its inputs, in their order. Registers the
/// gradients of parameters.
type Adjoint<'m, B> =
    Box<dyn FnOnce(Shards<Inner<B>>, &mut GradientsParams) -> Vec<Shards<Inner<B>>> + 'm>;

struct Step<'m, B: AutodiffBackend> {
    /// The index of each input, `None` if its gradient is not needed.
    inputs: Vec<Option<usize>>,
    output: usize,
    adjoint: Adjoint<'m, B>,
}

impl<'m, B: AutodiffBackend> Tape<'m, B> {
    /// An empty tape. With a `whole_batch`, batch norms use the statistics of all its processes.
    pub(super) fn new(mode: TapeMode, whole_batch: Option<&WholeBatch>) -> Self {
        Self {
            steps: Vec::new(),
            maps: 0,
            mode,
            whole_batch: whole_batch.cloned(),
        }
    }

    /// Adds an input map; `tracked`: whether its gradient is needed.
    pub(super) fn input(&mut self, shards: Shards<Inner<B>>, tracked: bool) -> TapedMap<B> {
        self.map(shards, tracked)
    }

    /// Registers the gradients of the parameters and returns the gradient of `input`, if it is tracked,
    /// given the gradient of `output`.
    pub(super) fn backward(
        self,
        input: usize,
        output: usize,
        output_gradient: Shards<Inner<B>>,
        gradients: &mut GradientsParams,
    ) -> Option<Shards<Inner<B>>> {
        let mut map_gradients: Vec<Option<Shards<Inner<B>>>> = vec![None; self.maps];
        map_gradients[output] = Some(output_gradient);
        for step in self.steps.into_iter().rev() {
            // The output of a step that no later step uses has no gradient, and neither have its inputs.
            let Some(output_gradient) = map_gradients[step.output].take() else {
                continue;
            };
            let input_gradients = (step.adjoint)(output_gradient, gradients);
            for (index, new) in step.inputs.into_iter().zip(input_gradients) {
                let Some(index) = index else {
                    continue;
                };
                map_gradients[index] = Some(match map_gradients[index].take() {
                    None => new,
                    Some(sum) => par_map(sum.into_iter().zip(new).collect(), |(a, b)| a + b),
                });
            }
        }
        map_gradients[input].take()
    }

    fn map(&mut self, shards: Shards<Inner<B>>, tracked: bool) -> TapedMap<B> {
        self.maps += 1;
        TapedMap {
            index: self.maps - 1,
            tracked,
            shards,
        }
    }

    /// Records the output `shards` of a layer with parameters. `inputs` are the indices of its inputs,
    /// `None` for those whose gradient is not needed.
    pub(super) fn step(
        &mut self,
        inputs: Vec<Option<usize>>,
        shards: Shards<Inner<B>>,
        adjoint: impl FnOnce(Shards<Inner<B>>, &mut GradientsParams) -> Vec<Shards<Inner<B>>> + 'm,
    ) -> TapedMap<B> {
        let map = self.map(shards, true);
        if self.mode != TapeMode::UpdateStatistics {
            self.steps.push(Step {
                inputs,
                output: map.index,
                adjoint: Box::new(adjoint),
            });
        }
        map
    }

    /// Records the output of a layer without parameters, unless none of its inputs needs a gradient.
    fn step_without_parameters(
        &mut self,
        inputs: Vec<Option<usize>>,
        shards: Shards<Inner<B>>,
        adjoint: impl FnOnce(Shards<Inner<B>>) -> Vec<Shards<Inner<B>>> + 'm,
    ) -> TapedMap<B> {
        match inputs.iter().any(Option::is_some) {
            true => self.step(inputs, shards, |output_gradient, _| {
                adjoint(output_gradient)
            }),
            false => self.map(shards, false),
        }
    }
}

impl<B: AutodiffBackend> TapedMap<B> {
    /// Its index on the tape, or `None` if its gradient is not needed.
    pub(super) fn tracked_index(&self) -> Option<usize> {
        self.tracked.then_some(self.index)
    }

    /// Its index on the tape.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Its shards.
    pub(super) fn into_shards(self) -> Shards<Inner<B>> {
        self.shards
    }
}

impl<'m, B: AutodiffBackend> Executor<'m, B> for Tape<'m, B> {
    type Map = TapedMap<B>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: TapedMap<B>) -> TapedMap<B> {
        match (block.bn.is_frozen(), &x.shards[..]) {
            (true, _) => self.frozen_block(block, x),
            (false, [_]) if self.whole_batch.is_none() && kernels::available::<Inner<B>>() => {
                self.kernel_block(block, x)
            }
            (false, _) => self.training_block(block, x),
        }
    }

    fn max_pool(&mut self, pool: MaxPool, algorithm: ConvAlgorithm, x: TapedMap<B>) -> TapedMap<B> {
        let inputs = vec![x.tracked_index()];
        if self.mode == TapeMode::UpdateStatistics {
            let outputs = par_map(x.shards, |x| pool.forward(x, algorithm));
            return self.map(outputs, x.tracked);
        }
        let pooled = par_map(x.shards, |x| pool.forward_with_positions(x, algorithm));
        let (outputs, positions): (_, Vec<MaxPositions<Inner<B>>>) = pooled.into_iter().unzip();
        self.step_without_parameters(inputs, outputs, |output_gradient| {
            let shards = output_gradient.into_iter().zip(positions).collect();
            vec![par_map(shards, |(output_gradient, positions)| {
                positions.gradient(output_gradient)
            })]
        })
    }

    fn concat_channels(&mut self, maps: Vec<TapedMap<B>>) -> TapedMap<B> {
        let inputs = maps.iter().map(TapedMap::tracked_index).collect();
        let channels: Vec<usize> = maps.iter().map(|map| map.shards[0].dims()[3]).collect();
        let shards = transposed(maps.into_iter().map(|map| map.shards));
        let outputs = par_map(shards, concat_channels);
        self.step_without_parameters(inputs, outputs, move |output_gradient| {
            let input_gradients = par_map(output_gradient, |gradient| {
                split_channels(gradient, &channels)
            });
            transposed(input_gradients.into_iter())
        })
    }

    fn sum(&mut self, a: TapedMap<B>, b: TapedMap<B>, activation: Activation) -> TapedMap<B> {
        let inputs = vec![a.tracked_index(), b.tracked_index()];
        let pairs = a.shards.into_iter().zip(b.shards).collect();
        let outputs = par_map(pairs, |(a, b)| activation.forward(a + b));
        let saved = saved_outputs(activation, &outputs);
        self.step_without_parameters(inputs, outputs, move |output_gradient| {
            let shards = saved.into_iter().zip(output_gradient).collect();
            let gradient = par_map(shards, |(output, output_gradient)| {
                activation_gradient(activation, output, output_gradient)
            });
            vec![gradient.clone(), gradient]
        })
    }
}

/// The outputs that the gradient of an activation needs; `None` each for [`Activation::None`].
pub(super) fn saved_outputs<B: Backend>(
    activation: Activation,
    outputs: &Shards<B>,
) -> Vec<Option<Tensor<B, 4>>> {
    let needed = activation != Activation::None;
    outputs
        .iter()
        .map(|output| needed.then(|| output.clone()))
        .collect()
}

/// The gradient of an activation's input, from its [saved output](saved_outputs) and the gradient of
/// that.
pub(super) fn activation_gradient<B: Backend>(
    activation: Activation,
    output: Option<Tensor<B, 4>>,
    output_gradient: Tensor<B, 4>,
) -> Tensor<B, 4> {
    match output {
        Some(output) => activation.gradient(output, output_gradient),
        None => output_gradient,
    }
}

/// Rows as columns.
fn transposed<T>(rows: impl Iterator<Item = Vec<T>>) -> Vec<Vec<T>> {
    let mut columns: Vec<Vec<T>> = Vec::new();
    for row in rows {
        columns.resize_with(row.len(), Vec::new);
        for (column, item) in columns.iter_mut().zip(row) {
            column.push(item);
        }
    }
    columns
}
