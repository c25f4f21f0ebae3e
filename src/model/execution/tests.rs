//! Gradients of taped layers, compared with autodiff's.

use std::collections::BTreeMap;

use burn::{
    backend::Autodiff,
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Tensor, TensorData, backend::Backend},
};

use super::{EagerExecutor, Executor, Stages, Tape, TapedForward, shards::shard, tape::TapeMode};
use crate::model::{
    Conv4, ConvAlgorithm,
    layers::{
        Activation, BatchNorm, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig,
        MaxPool, Padding,
    },
};

pub(super) type B = burn_flex::Flex;
pub(super) type AB = Autodiff<B>;

/// Largest error of a gradient, relative to its norm: two orders of the same sums in single
/// precision.
const TOLERANCE: f64 = 1e-4;

/// The same through a whole network, where batch norms of few values and ReLUs amplify rounding.
const NETWORK_TOLERANCE: f64 = 1e-3;

/// Largest absolute error: some gradients are zero up to rounding, such as those of a convolution whose
/// batch norm sees a single value. The others are of size 1.
const ABSOLUTE_TOLERANCE: f64 = 1e-5;

/// A wave of numbers in [−1, 1] that does not repeat.
pub(super) fn wave<Back: Backend, const D: usize>(
    shape: [usize; D],
    frequency: f64,
) -> Tensor<Back, D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count)
        .map(|i| (i as f64 * frequency + 0.3).sin() as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// The gradients in the order in which a module's tensors are visited. Running statistics have no
/// gradient and are skipped.
struct Found<'a>(&'a GradientsParams, Vec<Vec<f64>>);

impl ModuleVisitor<AB> for Found<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
        if let Some(gradient) = self.0.get::<B, D>(parameter.id) {
            self.1.push(values(gradient));
        }
    }
}

fn in_order(gradients: &GradientsParams, module: &impl Module<AB>) -> Vec<Vec<f64>> {
    let mut found = Found(gradients, Vec::new());
    module.visit(&mut found);
    found.1
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let (error, norm) = (distance(found, expected), length(expected));
    assert!(
        error <= tolerance * norm + ABSOLUTE_TOLERANCE,
        "{what}: {error:e} of {norm:e}"
    );
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    length(&differences)
}

/// The error of `found` relative to the larger of the norm of `expected` and 1.
pub(super) fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    distance(found, expected) / length(expected).max(1.0)
}

fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A network with every kind of layer, and one layer whose output is not used.
#[derive(Module, Debug)]
pub(super) struct EveryLayer<B: Backend> {
    strided: ConvolutionBlock<B>,
    pub(super) narrow: ConvolutionBlock<B>,
    wide: ConvolutionBlock<B>,
    pointwise: ConvolutionBlock<B>,
    depthwise: ConvolutionBlock<B>,
    down: ConvolutionBlock<B>,
}

impl EveryLayer<AB> {
    pub(super) fn new() -> Self {
        let block = |input, output, k, stride, padding, activation| {
            let convolution = ConvolutionConfig::new(input, output, k)
                .with_stride(stride)
                .with_padding(padding);
            ConvolutionBlockConfig::new(convolution)
                .with_activation(activation)
                .with_freeze_batch_norm(stride == 2 && k == 1)
                .init(&Default::default())
        };
        let depthwise = |k, stride| {
            let convolution = ConvolutionConfig::depthwise(6, k)
                .with_stride(stride)
                .with_padding(Padding::Same);
            ConvolutionBlockConfig::new(convolution)
                .with_activation(Activation::Relu6)
                .init(&Default::default())
        };
        let one = Padding::Symmetric(1);
        Self {
            strided: block(3, 4, 3, 2, Padding::Same, Activation::Relu),
            narrow: block(4, 6, 3, 1, one, Activation::Relu),
            wide: block(4, 6, 1, 1, Padding::Symmetric(0), Activation::None),
            pointwise: block(12, 6, 1, 2, Padding::Symmetric(0), Activation::Relu6),
            depthwise: depthwise(3, 1),
            down: depthwise(5, 2),
        }
    }

    fn pools() -> [MaxPool; 2] {
        let pool = |stride, ceil_mode| MaxPool {
            kernel_size: 3,
            stride,
            padding: 1,
            ceil_mode,
        };
        [pool(1, false), pool(2, true)]
    }
}

impl Stages<AB> for EveryLayer<AB> {
    fn count(&self) -> usize {
        2
    }

    fn algorithm(&self) -> ConvAlgorithm {
        ConvAlgorithm::Im2col
    }

    fn stage<'m, E: Executor<'m, AB>>(
        &'m self,
        stage: usize,
        x: E::Map,
        executor: &mut E,
    ) -> E::Map {
        let algorithm = ConvAlgorithm::Im2col;
        let [keeping, halving] = Self::pools();
        match stage {
            0 => {
                let x = executor.block(&self.strided, x);
                executor.max_pool(keeping, algorithm, x)
            }
            _ => {
                let narrow = executor.block(&self.narrow, x.clone());
                let wide = executor.block(&self.wide, x.clone());
                let both = executor.concat_channels(vec![narrow.clone(), wide]);
                let both = executor.block(&self.pointwise, both);
                let narrow = executor.max_pool(halving, algorithm, narrow);
                let narrow = executor.block(&self.depthwise, narrow);
                let sum = executor.sum(both, narrow, Activation::Relu);
                executor.block(&self.down, sum)
            }
        }
    }
}

/// Maps and gradients by autodiff.
pub(super) fn eager_gradients<N: Stages<AB> + AutodiffModule<AB>>(
    network: &N,
    images: Tensor<B, 4>,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    eager_gradients_for(network, images, |shape| wave(shape, 0.9))
}

/// The same for a gradient of the maps as a function of their shape.
pub(super) fn eager_gradients_for<N: Stages<AB> + AutodiffModule<AB>>(
    network: &N,
    images: Tensor<B, 4>,
    maps_gradient: impl Fn([usize; 4]) -> Tensor<B, 4>,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let maps = network.run(Tensor::from_inner(images), &mut EagerExecutor::default());
    let probe = Tensor::from_inner(maps_gradient(maps.dims()));
    let loss = (maps.clone().cast(DType::F32) * probe).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    (values(maps), in_order(&gradients, network))
}

/// Maps and gradients by a taped forward pass.
pub(super) fn taped_gradients<N: Stages<AB> + AutodiffModule<AB>>(
    network: &N,
    images: Tensor<B, 4>,
    recompute: bool,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    taped_gradients_for(network, images, recompute, |shape| wave(shape, 0.9))
}

/// The same for a gradient of the maps as a function of their shape.
pub(super) fn taped_gradients_for<N: Stages<AB> + AutodiffModule<AB>>(
    network: &N,
    images: Tensor<B, 4>,
    recompute: bool,
    maps_gradient: impl Fn([usize; 4]) -> Tensor<B, 4>,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (maps, forward) = TapedForward::new(network, images, recompute, None);
    let mut gradients = GradientsParams::new();
    let maps_gradient = maps_gradient(maps.dims()).cast(maps.dtype());
    forward.backward(maps_gradient, &mut gradients);
    (values(maps), in_order(&gradients, network))
}

#[test]
fn taped_gradients_of_every_layer_equal_autodiffs_for_every_number_of_shards() {
    let network = EveryLayer::new();
    // Fewer images than threads, and shards of different sizes.
    for images in [1, 2, 5] {
        let images = wave([images, 22, 18, 3], 1.3);
        let (maps, expected) = eager_gradients(&network, images.clone());
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            for recompute in [false, true] {
                let what = format!("{threads} threads, recompute {recompute}");
                let (found, gradients) =
                    pool.install(|| taped_gradients(&network, images.clone(), recompute));
                assert_close(&what, &found, &maps, TOLERANCE);
                assert_eq!(gradients.len(), expected.len());
                for (found, expected) in gradients.iter().zip(&expected) {
                    assert_close(&what, found, expected, TOLERANCE);
                }
            }
        }
    }
}

#[test]
fn taped_gradients_of_a_network_equal_autodiffs_with_both_algorithms() {
    // The reference tests compare the larger networks, taped as well, with the originals.
    for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
        let network = Conv4::<AB>::new(algorithm, &Default::default());
        let images: Tensor<B, 4> = wave([3, 32, 32, 3], 1.3);
        let (maps, expected) = eager_gradients(&network, images.clone());
        for recompute in [false, true] {
            let what = format!("{algorithm:?}, recompute {recompute}");
            let (found, gradients) = taped_gradients(&network, images.clone(), recompute);
            assert_close(&what, &found, &maps, TOLERANCE);
            assert_eq!(gradients.len(), expected.len());
            for (found, expected) in gradients.iter().zip(&expected) {
                assert_close(&what, found, expected, NETWORK_TOLERANCE);
            }
        }
    }
}

#[test]
fn gradient_of_a_tracked_input_equals_autodiffs() {
    let network = EveryLayer::new();
    let images: Tensor<B, 4> = wave([3, 14, 14, 3], 1.3);
    let input = Tensor::<AB, 4>::from_inner(images.clone()).require_grad();
    let maps = network.run(input.clone(), &mut EagerExecutor::default());
    let found = (maps.clone() * wave(maps.dims(), 0.9)).sum().backward();
    let expected = values(input.grad(&found).unwrap());

    let mut tape = Tape::<AB>::new(TapeMode::Record, None);
    let input = tape.input(shard(images, ConvAlgorithm::Im2col), true);
    let start = input.index();
    let output = network.run(input, &mut tape).index();
    let output_gradient = shard(wave(maps.dims(), 0.9), ConvAlgorithm::Im2col);
    let found = tape.backward(start, output, output_gradient, &mut GradientsParams::new());
    let found: Vec<f64> = found.unwrap().into_iter().flat_map(values).collect();
    assert_close("input", &found, &expected, TOLERANCE);
}

#[test]
fn running_statistics_include_a_batch_once_with_and_without_recomputation() {
    let statistics = |norm: &BatchNorm<AB>| {
        [&norm.running_mean, &norm.running_var].map(|state| values(state.value_sync()))
    };
    let start = Conv4::<AB>::new(ConvAlgorithm::Im2col, &Default::default());
    let after = |forward: &dyn Fn(&Conv4<AB>)| {
        // A clone would share its running statistics; a record has a copy.
        let network = Conv4::<AB>::new(ConvAlgorithm::Im2col, &Default::default());
        let network = network.load_record(start.clone().into_record());
        forward(&network);
        let mut found = BTreeMap::new();
        for (i, norm) in network.norms().enumerate() {
            found.insert(i, statistics(norm));
        }
        found
    };
    let images: Tensor<B, 4> = wave([4, 32, 32, 3], 1.3);
    let expected = after(&|network| drop(eager_gradients(network, images.clone())));
    for recompute in [false, true] {
        let found = after(&|network| drop(taped_gradients(network, images.clone(), recompute)));
        for (i, expected) in &expected {
            for (found, expected) in found[i].iter().zip(expected) {
                assert_close(&format!("block {i}"), found, expected, TOLERANCE);
            }
        }
    }
}
