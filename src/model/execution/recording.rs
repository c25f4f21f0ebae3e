//! A network's pass in training, from which the gradients of its parameters follow.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Tensor, backend::AutodiffBackend},
};

use super::{
    Direct, Recorder, Stages,
    recorder::Keeps,
    shards::{Shards, cut, cut_into, joined, sizes},
};
use crate::model::layers::ConvAlgorithm;

type Inner<B> = <B as AutodiffBackend>::InnerBackend;

/// What a pass of `network` in training keeps for the way back.
pub struct Recording<'m, B: AutodiffBackend, N> {
    network: &'m N,
    kept: Kept<'m, B>,
}

enum Kept<'m, B: AutodiffBackend> {
    /// A record of all layers.
    Record {
        recorder: Recorder<'m, B>,
        input: usize,
        output: usize,
        /// The images of each part.
        sizes: Vec<usize>,
    },
    /// What went into each stage, in parts.
    Stages(Vec<Shards<Inner<B>>>),
    /// Autodiff's graph, under the network's output.
    Graph(Tensor<B, 4>),
}

impl<'m, B: AutodiffBackend, N: Stages<B> + Module<B>> Recording<'m, B, N> {
    /// The feature maps of `images` `[N, S, S, 3]`, `[N, h, w, features]`, and the recording. Batch
    /// norms use the batch's statistics and update their running ones.
    ///
    /// Where convolutions are computed by rows, layers are recorded by their own adjoints, else by
    /// autodiff. With `recompute`, only what goes into each stage is kept, and a stage is computed
    /// anew when its gradients are due.
    pub fn new(
        network: &'m N,
        images: Tensor<Inner<B>, 4>,
        recompute: bool,
    ) -> (Tensor<Inner<B>, 4>, Self) {
        let algorithm = network.algorithm();
        let (maps, kept) = match algorithm {
            _ if recompute => {
                let mut inputs = Vec::new();
                let mut maps = cut(images, algorithm);
                for stage in 0..network.count() {
                    inputs.push(maps.clone());
                    let mut recorder = Recorder::new(Keeps::Statistics);
                    let input = recorder.input(maps, false);
                    maps = network.stage(stage, input, &mut recorder).into_shards();
                }
                (joined(maps), Kept::Stages(inputs))
            }
            ConvAlgorithm::Im2col => {
                let images = cut(images, algorithm);
                let sizes = sizes(&images);
                let mut recorder = Recorder::new(Keeps::RecordAndStatistics);
                let input = recorder.input(images, false);
                let start = input.index();
                let output = network.run(input, &mut recorder);
                let kept = Kept::Record {
                    input: start,
                    output: output.index(),
                    recorder,
                    sizes,
                };
                (joined(output.into_shards()), kept)
            }
            ConvAlgorithm::Backend => {
                let output = network.run(Tensor::from_inner(images), &mut Direct::default());
                (output.clone().inner(), Kept::Graph(output))
            }
        };
        (maps, Self { network, kept })
    }

    /// Adds the gradients of the network's parameters to `gradients`, given that of the feature maps.
    pub fn backward(self, of_maps: Tensor<Inner<B>, 4>, gradients: &mut GradientsParams) {
        let Self { network, kept } = self;
        match kept {
            Kept::Record {
                recorder,
                input,
                output,
                sizes,
            } => {
                recorder.backward(input, output, cut_into(of_maps, &sizes), gradients);
            }
            Kept::Stages(inputs) => {
                let mut of_maps = of_maps;
                for (stage, maps) in inputs.into_iter().enumerate().rev() {
                    let of_input = match network.algorithm() {
                        ConvAlgorithm::Im2col => {
                            record_again(network, stage, maps, of_maps, gradients)
                        }
                        ConvAlgorithm::Backend => {
                            trace_again(network, stage, maps, of_maps, gradients)
                        }
                    };
                    match of_input {
                        Some(of_input) => of_maps = of_input,
                        None => break,
                    }
                }
            }
            Kept::Graph(output) => {
                let found = (output * Tensor::from_inner(of_maps)).sum().backward();
                network.visit(&mut Collector::<B> {
                    found: &found,
                    gradients,
                });
            }
        }
    }
}

/// Carries out a stage anew with a record, and follows it back; the gradient of its input, but for the
/// first stage.
fn record_again<B: AutodiffBackend, N: Stages<B>>(
    network: &N,
    stage: usize,
    maps: Shards<Inner<B>>,
    of_maps: Tensor<Inner<B>, 4>,
    gradients: &mut GradientsParams,
) -> Option<Tensor<Inner<B>, 4>> {
    let sizes = sizes(&maps);
    let mut recorder = Recorder::new(Keeps::Record);
    let input = recorder.input(maps, stage > 0);
    let start = input.index();
    let end = network.stage(stage, input, &mut recorder).index();
    let of_input = recorder.backward(start, end, cut_into(of_maps, &sizes), gradients);
    of_input.map(joined)
}

/// The same by autodiff.
fn trace_again<B: AutodiffBackend, N: Stages<B> + Module<B>>(
    network: &N,
    stage: usize,
    maps: Shards<Inner<B>>,
    of_maps: Tensor<Inner<B>, 4>,
    gradients: &mut GradientsParams,
) -> Option<Tensor<Inner<B>, 4>> {
    let input = Tensor::<B, 4>::from_inner(joined(maps));
    let input = match stage {
        0 => input,
        _ => input.require_grad(),
    };
    let output = network.stage(stage, input.clone(), &mut Direct::recomputing());
    let found = (output * Tensor::from_inner(of_maps)).sum().backward();
    network.visit(&mut Collector::<B> {
        found: &found,
        gradients,
    });
    input.grad(&found)
}

/// Moves what autodiff found into the gradients by parameter.
struct Collector<'a, B: AutodiffBackend> {
    found: &'a B::Gradients,
    gradients: &'a mut GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Collector<'_, B> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        if let Some(gradient) = parameter.val().grad(self.found) {
            self.gradients
                .register::<Inner<B>, D>(parameter.id, gradient);
        }
    }
}
