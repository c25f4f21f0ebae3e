//! A network's pass in training, from which the gradients of its parameters follow.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Tensor, backend::AutodiffBackend},
};

use super::{
    Direct, Recorder, Stages,
    shards::{Shards, cut, joined},
};
use crate::model::layers::ComputePath;

type Inner<B> = <B as AutodiffBackend>::InnerBackend;

/// What a pass of `network` in training keeps for the way back.
pub struct Recording<'m, B: AutodiffBackend, N> {
    network: &'m N,
    kept: Kept<'m, B>,
}

enum Kept<'m, B: AutodiffBackend> {
    /// A record of all layers, from its input to its output.
    Record(Recorder<'m, B>, [usize; 2]),
    /// What went into each stage, in parts.
    Stages(Vec<Shards<Inner<B>>>),
    /// Autodiff's graph, under the network's output.
    Graph(Tensor<B, 4>),
    /// What went into each stage.
    GraphStages(Vec<Tensor<Inner<B>, 4>>),
}

impl<'m, B: AutodiffBackend, N: Stages<B> + Module<B>> Recording<'m, B, N> {
    /// The feature maps of `images` `[N, S, S, 3]`, `[N, h, w, features]`, and the recording. Batch
    /// norms use the batch's statistics and update their running ones.
    ///
    /// Where convolutions are computed by rows, layers are recorded by their own adjoints, else by
    /// autodiff. With `recompute`, only what goes into each stage is kept, and a stage is computed
    /// anew when its gradients are due: about a third more time for a fraction of the memory.
    pub fn new(
        network: &'m N,
        images: Tensor<Inner<B>, 4>,
        recompute: bool,
    ) -> (Tensor<Inner<B>, 4>, Self) {
        let (maps, kept) = match (network.path(), recompute) {
            (ComputePath::Rows, false) => {
                let mut recorder = Recorder::new(true);
                let input = recorder.input(cut(images), false);
                let ends = input.index();
                let output = network.run(input, &mut recorder);
                let ends = [ends, output.index()];
                (joined(output.into_shards()), Kept::Record(recorder, ends))
            }
            (ComputePath::Rows, true) => {
                let mut kept = Vec::new();
                let mut maps = cut(images);
                for stage in 0..network.count() {
                    kept.push(maps.clone());
                    // Forgets the record at once.
                    let mut recorder = Recorder::new(true);
                    let input = recorder.input(maps, false);
                    maps = network.stage(stage, input, &mut recorder).into_shards();
                }
                (joined(maps), Kept::Stages(kept))
            }
            (ComputePath::Native, false) => {
                let output = network.run(Tensor::from_inner(images), &mut Direct::default());
                (output.clone().inner(), Kept::Graph(output))
            }
            (ComputePath::Native, true) => {
                let mut kept = Vec::new();
                let mut maps = images;
                for stage in 0..network.count() {
                    kept.push(maps.clone());
                    let maps_in = Tensor::from_inner(maps);
                    maps = network
                        .stage(stage, maps_in, &mut Direct::default())
                        .inner();
                }
                (maps, Kept::GraphStages(kept))
            }
        };
        (maps, Self { network, kept })
    }

    /// Adds the gradients of the network's parameters to `gradients`, given that of the feature maps.
    pub fn backward(self, of_maps: Tensor<Inner<B>, 4>, gradients: &mut GradientsParams) {
        let Self { network, kept } = self;
        match kept {
            Kept::Record(recorder, [input, output]) => {
                recorder.backward(input, output, cut(of_maps), gradients);
            }
            Kept::Stages(inputs) => {
                let mut of_maps = cut(of_maps);
                for (stage, maps) in inputs.into_iter().enumerate().rev() {
                    let mut recorder = Recorder::new(false);
                    let input = recorder.input(maps, stage > 0);
                    let start = input.index();
                    let end = network.stage(stage, input, &mut recorder).index();
                    match recorder.backward(start, end, of_maps, gradients) {
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
            Kept::GraphStages(inputs) => {
                let mut of_maps = of_maps;
                for (stage, maps) in inputs.into_iter().enumerate().rev() {
                    let mut input = Tensor::<B, 4>::from_inner(maps);
                    if stage > 0 {
                        input = input.require_grad();
                    }
                    let output = network.stage(stage, input.clone(), &mut Direct::recomputing());
                    let found = (output * Tensor::from_inner(of_maps)).sum().backward();
                    network.visit(&mut Collector::<B> {
                        found: &found,
                        gradients: &mut *gradients,
                    });
                    match input.grad(&found) {
                        Some(of_input) => of_maps = of_input,
                        None => break,
                    }
                }
            }
        }
    }
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
