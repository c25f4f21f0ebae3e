//! Low-precision passes of every layer: the tape against autodiff, and both against f32.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};

use super::tests::{
    AB, B, EveryLayer, eager_gradients, eager_gradients_for, relative_error, taped_gradients,
    taped_gradients_for, wave,
};
use super::{EagerExecutor, Executor, Stages, TapedForward};
use crate::model::layers::{
    Activation, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig, Padding,
};
use crate::model::{ConvAlgorithm, Precision};

const LOW: [Precision; 2] = [Precision::Bf16, Precision::F16];

/// 2⁻ᵖ for p significant bits: the largest relative error of a rounding.
fn rounding(precision: Precision) -> f64 {
    0.5_f64.powi(precision.significant_bits() as i32)
}

/// Numbers in [−1, 1] without a pattern, whose sums cancel as little as those of random numbers.
fn noise(shape: [usize; 4]) -> Tensor<B, 4> {
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|i| ((i * i) as f32 * 0.37).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// One block without a kink.
#[derive(Module, Debug)]
struct Smooth<B: Backend> {
    block: ConvolutionBlock<B>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl Smooth<AB> {
    fn new(algorithm: ConvAlgorithm, freeze_batch_norm: bool) -> Self {
        let convolution = ConvolutionConfig::new(3, 8, 3)
            .with_padding(Padding::Symmetric(1))
            .with_algorithm(algorithm);
        let block = ConvolutionBlockConfig::new(convolution)
            .with_activation(Activation::None)
            .with_freeze_batch_norm(freeze_batch_norm)
            .init(&Default::default());
        Self { block, algorithm }
    }
}

impl Stages<AB> for Smooth<AB> {
    fn count(&self) -> usize {
        1
    }

    fn algorithm(&self) -> ConvAlgorithm {
        self.algorithm
    }

    fn stage<'m, E: Executor<'m, AB>>(&'m self, _: usize, x: E::Map, executor: &mut E) -> E::Map {
        executor.block(&self.block, x)
    }
}

#[test]
fn block_without_a_kink_is_off_by_few_roundings() {
    /// Of input, weights, convolution and output, and of the gradients of the last two.
    const ROUNDINGS: f64 = 6.0;
    let images = noise([4, 12, 12, 3]);
    for (algorithm, frozen) in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend]
        .into_iter()
        .flat_map(|algorithm| [(algorithm, false), (algorithm, true)])
    {
        let network = Smooth::new(algorithm, frozen);
        let (maps, gradients) = eager_gradients_for(&network, images.clone(), noise);
        for precision in LOW {
            let images = images.clone().cast(precision.dtype());
            let allowed = ROUNDINGS * rounding(precision);
            for (found_maps, found) in [
                eager_gradients_for(&network, images.clone(), noise),
                taped_gradients_for(&network, images, false, noise),
            ] {
                let what = format!("{precision} {algorithm:?}, frozen {frozen}");
                let error = relative_error(&found_maps, &maps);
                // Far above f32's error.
                assert!(error > 1e-5 && error < allowed, "{what}: {error}");
                assert_eq!(found.len(), gradients.len());
                for (i, (found, expected)) in found.iter().zip(&gradients).enumerate() {
                    let error = relative_error(found, expected);
                    assert!(error < allowed, "{what}, parameter {i}: {error}");
                }
            }
        }
    }
}

#[test]
fn every_layer_follows_the_precision_of_its_input_on_the_tape_and_with_autodiff() {
    /// On the longest path: of the images, and in each of four blocks of the weights, the convolution and the
    /// block's output; and those of their gradients.
    const ROUNDINGS: f64 = 2.0 * (1.0 + 3.0 * 4.0);
    let network = EveryLayer::new();
    let images: Tensor<B, 4> = wave([3, 22, 18, 3], 1.3);
    let (maps, gradients) = eager_gradients::<EveryLayer<AB>>(&network, images.clone());
    for precision in LOW {
        let allowed = ROUNDINGS * rounding(precision);
        // ReLUs and max pools that choose another number move a share of the gradient.
        let switched = (2.0 * allowed).sqrt();
        let images = images.clone().cast(precision.dtype());
        let runs = [
            ("eager", eager_gradients(&network, images.clone())),
            ("taped", taped_gradients(&network, images.clone(), false)),
            ("recomputed", taped_gradients(&network, images, true)),
        ];
        for (what, (found_maps, found)) in &runs {
            let error = relative_error(found_maps, &maps);
            assert!(
                error > 1e-5 && error < allowed,
                "{precision} {what}: {error}"
            );
            assert_eq!(found.len(), gradients.len());
            for (i, (found, expected)) in found.iter().zip(&gradients).enumerate() {
                let error = relative_error(found, expected);
                assert!(
                    error < switched,
                    "{precision} {what}, parameter {i}: {error}"
                );
            }
        }
        let [_, (_, (_, taped)), (_, (_, recomputed))] = &runs;
        assert_eq!(taped, recomputed, "{precision}: recomputation changes bits");
    }
}

#[test]
fn maps_have_the_precision_of_the_images_and_statistics_are_f32() {
    let network = EveryLayer::new();
    for precision in Precision::ALL {
        let images: Tensor<B, 4> = wave([2, 22, 18, 3], 1.3);
        let images = images.cast(precision.dtype());
        let (maps, _) = TapedForward::new(&network, images.clone(), false, None);
        assert_eq!(maps.dtype(), precision.dtype());
        let images = Tensor::<AB, 4>::from_inner(images);
        let maps = network.run(images, &mut EagerExecutor::default());
        assert_eq!(maps.dtype(), precision.dtype());
        let statistics = network.narrow.bn.running_var.value_sync();
        assert_eq!(statistics.dtype(), DType::F32);
    }
}
