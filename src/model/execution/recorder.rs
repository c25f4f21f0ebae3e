//! Reverse-mode differentiation by whole layers.
//!
//! Autodiff records single operations: a batch norm alone is a dozen of them, each of which keeps a
//! map and walks another one on the way back. Here a layer is one step, and its adjoint is written
//! out: it keeps the least it needs, works in place, and runs on all threads.

use burn::{
    optim::GradientsParams,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    Pass,
    shards::{Shards, each},
};
use crate::model::layers::{
    Activation, ConvAlgorithm, ConvolutionBlock, DepthwiseBlock, MaxPool, Winners, apart,
    side_by_side,
};

pub(super) type Inner<B> = <B as AutodiffBackend>::InnerBackend;

/// Carries out layers in training and records how the gradient of a layer's output becomes those of
/// its inputs and parameters. Batch norms use the statistics of the batch.
pub struct Recorder<'m, B: AutodiffBackend> {
    steps: Vec<Step<'m, B>>,
    /// How many maps there are.
    maps: usize,
    pub(super) keeps: Keeps,
}

/// What a pass in training leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// The record, and the batch's statistics in the running ones.
    RecordAndStatistics,
    /// The record alone, of layers whose batch the running statistics took before.
    Record,
    /// The statistics alone.
    Statistics,
}

/// A map that a [`Recorder`] holds.
pub struct RecordedMap<B: AutodiffBackend> {
    index: usize,
    /// Whether its gradient is of use.
    tracked: bool,
    pub(super) shards: Shards<Inner<B>>,
}

impl<B: AutodiffBackend> Clone for RecordedMap<B> {
    fn clone(&self) -> Self {
        Self {
            index: self.index,
            tracked: self.tracked,
            shards: self.shards.clone(),
        }
    }
}

/// From the gradient of a step's output to those of its inputs, in their order; those of parameters
/// are registered.
type Adjoint<'m, B> =
    Box<dyn FnOnce(Shards<Inner<B>>, &mut GradientsParams) -> Vec<Shards<Inner<B>>> + 'm>;

struct Step<'m, B: AutodiffBackend> {
    /// The maps whose gradients the adjoint gives, none where it is not wanted.
    inputs: Vec<Option<usize>>,
    output: usize,
    adjoint: Adjoint<'m, B>,
}

impl<'m, B: AutodiffBackend> Recorder<'m, B> {
    /// A recorder without a layer yet.
    pub(super) fn new(keeps: Keeps) -> Self {
        Self {
            steps: Vec::new(),
            maps: 0,
            keeps,
        }
    }

    /// A map to begin with; `tracked` says whether its gradient is wanted.
    pub(super) fn input(&mut self, shards: Shards<Inner<B>>, tracked: bool) -> RecordedMap<B> {
        self.map(shards, tracked)
    }

    /// Follows the record backwards: registers the gradients of the parameters and returns that of
    /// `input`, if it is tracked, given that of `output`.
    pub(super) fn backward(
        self,
        input: usize,
        output: usize,
        of_output: Shards<Inner<B>>,
        gradients: &mut GradientsParams,
    ) -> Option<Shards<Inner<B>>> {
        let mut of_maps: Vec<Option<Shards<Inner<B>>>> = vec![None; self.maps];
        of_maps[output] = Some(of_output);
        for step in self.steps.into_iter().rev() {
            // A map that nothing followed has no gradient, and neither has what made it.
            let Some(of_output) = of_maps[step.output].take() else {
                continue;
            };
            let of_inputs = (step.adjoint)(of_output, gradients);
            for (index, new) in step.inputs.into_iter().zip(of_inputs) {
                let Some(index) = index else {
                    continue;
                };
                of_maps[index] = Some(match of_maps[index].take() {
                    None => new,
                    Some(sum) => each(sum.into_iter().zip(new).collect(), |(a, b)| a + b),
                });
            }
        }
        of_maps[input].take()
    }

    fn map(&mut self, shards: Shards<Inner<B>>, tracked: bool) -> RecordedMap<B> {
        self.maps += 1;
        RecordedMap {
            index: self.maps - 1,
            tracked,
            shards,
        }
    }

    /// The map of `shards` that a layer with parameters made of maps with these numbers, none where a
    /// gradient is not wanted.
    pub(super) fn step(
        &mut self,
        inputs: Vec<Option<usize>>,
        shards: Shards<Inner<B>>,
        adjoint: impl FnOnce(Shards<Inner<B>>, &mut GradientsParams) -> Vec<Shards<Inner<B>>> + 'm,
    ) -> RecordedMap<B> {
        let map = self.map(shards, true);
        if self.keeps != Keeps::Statistics {
            self.steps.push(Step {
                inputs,
                output: map.index,
                adjoint: Box::new(adjoint),
            });
        }
        map
    }

    /// The same of a layer without parameters: nothing is recorded where no gradient is wanted.
    fn step_without_parameters(
        &mut self,
        inputs: Vec<Option<usize>>,
        shards: Shards<Inner<B>>,
        adjoint: impl FnOnce(Shards<Inner<B>>) -> Vec<Shards<Inner<B>>> + 'm,
    ) -> RecordedMap<B> {
        match inputs.iter().any(Option::is_some) {
            true => self.step(inputs, shards, |of_output, _| adjoint(of_output)),
            false => self.map(shards, false),
        }
    }
}

impl<B: AutodiffBackend> RecordedMap<B> {
    /// Its number, if its gradient is wanted.
    pub(super) fn wanted(&self) -> Option<usize> {
        self.tracked.then_some(self.index)
    }

    /// Its number in the record.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Its parts.
    pub(super) fn into_shards(self) -> Shards<Inner<B>> {
        self.shards
    }
}

impl<'m, B: AutodiffBackend> Pass<'m, B> for Recorder<'m, B> {
    type Map = RecordedMap<B>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: RecordedMap<B>) -> RecordedMap<B> {
        let kernel = block.conv.sliding();
        self.convolved(kernel, &block.conv.weight, &block.bn, block.activation, x)
    }

    fn depthwise(&mut self, block: &'m DepthwiseBlock<B>, x: RecordedMap<B>) -> RecordedMap<B> {
        let kernel = block.conv.sliding();
        self.convolved(kernel, &block.conv.weight, &block.bn, block.activation, x)
    }

    fn max_pool(
        &mut self,
        pool: MaxPool,
        algorithm: ConvAlgorithm,
        x: RecordedMap<B>,
    ) -> RecordedMap<B> {
        let inputs = vec![x.wanted()];
        if self.keeps == Keeps::Statistics {
            let outputs = each(x.shards, |x| pool.forward(x, algorithm));
            return self.map(outputs, x.tracked);
        }
        let pooled = each(x.shards, |x| pool.forward_with_winners(x));
        let (outputs, winners): (_, Vec<Winners<Inner<B>>>) = pooled.into_iter().unzip();
        self.step_without_parameters(inputs, outputs, |of_output| {
            let parts = of_output.into_iter().zip(winners).collect();
            vec![each(parts, |(of_output, winners)| {
                winners.gradient(of_output)
            })]
        })
    }

    fn side_by_side(&mut self, maps: Vec<RecordedMap<B>>) -> RecordedMap<B> {
        let inputs = maps.iter().map(RecordedMap::wanted).collect();
        let channels: Vec<usize> = maps.iter().map(|map| map.shards[0].dims()[3]).collect();
        let shards = transposed(maps.into_iter().map(|map| map.shards));
        let outputs = each(shards, side_by_side);
        self.step_without_parameters(inputs, outputs, move |of_output| {
            let of_inputs = each(of_output, |of_output| apart(of_output, &channels));
            transposed(of_inputs.into_iter())
        })
    }

    fn sum(
        &mut self,
        a: RecordedMap<B>,
        b: RecordedMap<B>,
        activation: Activation,
    ) -> RecordedMap<B> {
        let inputs = vec![a.wanted(), b.wanted()];
        let parts = a.shards.into_iter().zip(b.shards).collect();
        let outputs = each(parts, |(a, b)| activation.forward(a + b));
        let kept = kept_for(activation, &outputs);
        self.step_without_parameters(inputs, outputs, move |of_output| {
            let parts = kept.into_iter().zip(of_output).collect();
            let gradient = each(parts, |(output, of_output)| {
                before(activation, output, of_output)
            });
            vec![gradient.clone(), gradient]
        })
    }
}

/// What the gradient of an activation needs of its outputs: nothing where there is none.
pub(super) fn kept_for<B: Backend>(
    activation: Activation,
    outputs: &Shards<B>,
) -> Vec<Option<Tensor<B, 4>>> {
    let needed = activation != Activation::None;
    outputs
        .iter()
        .map(|output| needed.then(|| output.clone()))
        .collect()
}

/// The gradient before an activation from that of its output.
pub(super) fn before<B: Backend>(
    activation: Activation,
    output: Option<Tensor<B, 4>>,
    of_output: Tensor<B, 4>,
) -> Tensor<B, 4> {
    match output {
        Some(output) => activation.gradient(output, of_output),
        None => of_output,
    }
}

/// Columns as rows.
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
