//! A network's forward pass in training, and the gradients that follow from it.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Tensor, backend::AutodiffBackend},
};

use super::{
    eager::EagerExecutor,
    shards::{Shards, concat, shard, shard_by_sizes, sizes},
    stages::Stages,
    tape::{Inner, Tape, TapeMode},
    whole_batch::WholeBatch,
};
use crate::kernels;
use crate::model::layers::ConvAlgorithm;

/// A forward pass of `network` in training, with the activations for its backward pass.
pub struct TapedForward<'m, B: AutodiffBackend, N> {
    network: &'m N,
    saved: SavedActivations<'m, B>,
    whole_batch: Option<WholeBatch>,
}

/// The data that a forward pass saves for the backward pass.
enum SavedActivations<'m, B: AutodiffBackend> {
    /// All layers, on a tape.
    Tape {
        tape: Tape<'m, B>,
        input: usize,
        output: usize,
        /// The number of images in each shard.
        sizes: Vec<usize>,
    },
    /// The input of each stage (gradient checkpointing).
    StageInputs(Vec<Shards<Inner<B>>>),
    /// Autodiff's graph, below the network's output.
    Graph(Tensor<B, 4>),
}

impl<'m, B: AutodiffBackend, N: Stages<B> + Module<B>> TapedForward<'m, B, N> {
    /// Runs `network` on `images` `[N, S, S, 3]`. Returns the feature maps `[N, h, w, features]` and
    /// the forward pass. Batch norms use the batch's statistics and update their running statistics.
    ///
    /// Layers are recorded on a [`Tape`] with [`ConvAlgorithm::Im2col`] and where
    /// [kernels of this project](kernels) run, otherwise by autodiff. With `recompute` (gradient checkpointing) only the input of each stage is saved, and the backward
    /// pass recomputes each stage.
    ///
    /// With a `whole_batch`, `images` are this process's part of a batch, and batch norms use the statistics of
    /// all of it.
    ///
    /// # Panics
    /// If there is a `whole_batch` and layers are not [taped](is_taped).
    pub fn new(
        network: &'m N,
        images: Tensor<Inner<B>, 4>,
        recompute: bool,
        whole_batch: Option<WholeBatch>,
    ) -> (Tensor<Inner<B>, 4>, Self) {
        let algorithm = network.algorithm();
        let whole = whole_batch.as_ref();
        assert!(
            whole.is_none() || is_taped::<B>(algorithm),
            "synchronised batch norms are taped"
        );
        let (maps, saved) = match algorithm {
            _ if recompute => {
                let mut inputs = Vec::new();
                let mut maps = shard(images, algorithm);
                for stage in 0..network.count() {
                    inputs.push(maps.clone());
                    let mut tape = Tape::new(TapeMode::UpdateStatistics, whole);
                    let input = tape.input(maps, false);
                    maps = network.stage(stage, input, &mut tape).into_shards();
                }
                (concat(maps), SavedActivations::StageInputs(inputs))
            }
            _ if is_taped::<B>(algorithm) => {
                let images = shard(images, algorithm);
                let sizes = sizes(&images);
                let mut tape = Tape::new(TapeMode::RecordAndUpdateStatistics, whole);
                let input = tape.input(images, false);
                let start = input.index();
                let output = network.run(input, &mut tape);
                let saved = SavedActivations::Tape {
                    input: start,
                    output: output.index(),
                    tape,
                    sizes,
                };
                (concat(output.into_shards()), saved)
            }
            _ => {
                let images = Tensor::from_inner(images);
                let output = network.run(images, &mut EagerExecutor::default());
                (output.clone().inner(), SavedActivations::Graph(output))
            }
        };
        let forward = Self {
            network,
            saved,
            whole_batch,
        };
        (maps, forward)
    }

    /// Registers the gradients of the network's parameters in `gradients`, given the gradient of the
    /// feature maps, `[N, h, w, features]`.
    pub fn backward(self, maps_gradient: Tensor<Inner<B>, 4>, gradients: &mut GradientsParams) {
        let Self {
            network,
            saved,
            whole_batch,
        } = self;
        let whole = whole_batch.as_ref();
        match saved {
            SavedActivations::Tape {
                tape,
                input,
                output,
                sizes,
            } => {
                let maps_gradient = shard_by_sizes(maps_gradient, &sizes);
                tape.backward(input, output, maps_gradient, gradients);
            }
            SavedActivations::StageInputs(inputs) => {
                let mut gradient = maps_gradient;
                for (stage, input) in inputs.into_iter().enumerate().rev() {
                    let input_gradient = match is_taped::<B>(network.algorithm()) {
                        true => {
                            recompute_with_tape(network, stage, input, gradient, whole, gradients)
                        }
                        false => {
                            recompute_with_autodiff(network, stage, input, gradient, gradients)
                        }
                    };
                    match input_gradient {
                        Some(input_gradient) => gradient = input_gradient,
                        None => break,
                    }
                }
            }
            SavedActivations::Graph(output) => {
                let autodiff = (output * Tensor::from_inner(maps_gradient))
                    .sum()
                    .backward();
                network.visit(&mut GradientCollector::<B> {
                    autodiff: &autodiff,
                    gradients,
                });
            }
        }
    }
}

/// Whether layers are recorded on a [`Tape`], which synchronises batch norms. With fusion, autodiff records operations that Burn fuses.
pub fn is_taped<B: AutodiffBackend>(algorithm: ConvAlgorithm) -> bool {
    algorithm == ConvAlgorithm::Im2col || kernels::available::<Inner<B>>()
}

/// Recomputes a stage on a tape and runs its backward pass. Returns the gradient of the stage's input,
/// or `None` for the first stage.
fn recompute_with_tape<B: AutodiffBackend, N: Stages<B>>(
    network: &N,
    stage: usize,
    input: Shards<Inner<B>>,
    output_gradient: Tensor<Inner<B>, 4>,
    whole_batch: Option<&WholeBatch>,
    gradients: &mut GradientsParams,
) -> Option<Tensor<Inner<B>, 4>> {
    let sizes = sizes(&input);
    let mut tape = Tape::new(TapeMode::Record, whole_batch);
    let input = tape.input(input, stage > 0);
    let start = input.index();
    let end = network.stage(stage, input, &mut tape).index();
    let output_gradient = shard_by_sizes(output_gradient, &sizes);
    let input_gradient = tape.backward(start, end, output_gradient, gradients);
    input_gradient.map(concat)
}

/// The same with autodiff.
fn recompute_with_autodiff<B: AutodiffBackend, N: Stages<B> + Module<B>>(
    network: &N,
    stage: usize,
    input: Shards<Inner<B>>,
    output_gradient: Tensor<Inner<B>, 4>,
    gradients: &mut GradientsParams,
) -> Option<Tensor<Inner<B>, 4>> {
    let input = Tensor::<B, 4>::from_inner(concat(input));
    let input = match stage {
        0 => input,
        _ => input.require_grad(),
    };
    let output = network.stage(stage, input.clone(), &mut EagerExecutor::recomputing());
    let autodiff = (output * Tensor::from_inner(output_gradient))
        .sum()
        .backward();
    network.visit(&mut GradientCollector::<B> {
        autodiff: &autodiff,
        gradients,
    });
    input.grad(&autodiff)
}

/// Registers the gradients that autodiff computed by parameter.
struct GradientCollector<'a, B: AutodiffBackend> {
    autodiff: &'a B::Gradients,
    gradients: &'a mut GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for GradientCollector<'_, B> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        if let Some(gradient) = parameter.val().grad(self.autodiff) {
            self.gradients
                .register::<Inner<B>, D>(parameter.id, gradient);
        }
    }
}
