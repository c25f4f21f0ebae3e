//! A training step: the forward pass that records gradients, and the backward pass.

use burn::{
    module::AutodiffModule,
    optim::GradientsParams,
    tensor::{DType, Tensor, backend::AutodiffBackend},
};

use super::{
    BackboneNetwork, Embedder, Precision, TrainStepOptions, dropout::dropout,
    execution::TapedForward, loss_scaling,
};

/// Computes the gradients of the parameters from a loss of the embeddings of
/// [`Embedder::forward_train`].
pub struct BackwardPass<'m, B: AutodiffBackend> {
    embedder: &'m Embedder<B>,
    /// `None` if the backbone is frozen.
    backbone: Option<TapedBackbone<'m, B>>,
}

/// The feature maps of the backbone and the forward pass that computed them.
struct TapedBackbone<'m, B: AutodiffBackend> {
    maps: Tensor<B, 4>,
    forward: TapedForward<'m, B, BackboneNetwork<B>>,
    precision: Precision,
}

impl<B: AutodiffBackend> Embedder<B> {
    /// Embeds images for a training step: as [`forward`](Self::forward), with dropout before the dense
    /// layer, or with a frozen backbone. Autodiff's graph of the embeddings ends at the feature maps;
    /// [`TapedForward`] records the backbone.
    ///
    /// A frozen backbone runs as at evaluation, with folded batch norms and without recording. Only
    /// the head's parameters get gradients then.
    ///
    /// The backbone is computed in the number format of the options, and everything after it in f32.
    ///
    /// # Shapes
    /// Those of [`forward`](Self::forward).
    pub fn forward_train(
        &self,
        images: Tensor<B, 4>,
        mut options: TrainStepOptions,
    ) -> (Tensor<B, 2>, BackwardPass<'_, B>) {
        let precision = options.precision;
        let images = self.channels_last(images).inner().cast(precision.dtype());
        let (maps, backbone) = match options.freeze_backbone || self.backbone.is_none() {
            true => {
                let maps = self.backbone.valid().forward(images);
                (Tensor::from_inner(maps.cast(DType::F32)), None)
            }
            false => {
                let whole_batch = options.whole_batch.take();
                let (maps, forward) =
                    TapedForward::new(&self.backbone, images, options.recompute, whole_batch);
                let maps = Tensor::from_inner(maps.cast(DType::F32)).require_grad();
                let backbone = TapedBackbone {
                    maps: maps.clone(),
                    forward,
                    precision,
                };
                (maps, Some(backbone))
            }
        };
        let inputs = self.hidden_units(self.pool(maps));
        let inputs = dropout(
            inputs,
            self.dropout(),
            &mut options.draws,
            options.other_rows,
        );
        let backward = BackwardPass {
            embedder: self,
            backbone,
        };
        (self.project(inputs), backward)
    }
}

impl<B: AutodiffBackend> BackwardPass<'_, B> {
    /// The gradients of `loss`, a scalar function of the embeddings, by parameter.
    ///
    /// Empty if the backbone is computed in f16 and one of its gradients overflows, so that an optimiser step
    /// with them changes nothing. With f16 it waits for the device.
    pub fn gradients(self, loss: Tensor<B, 1>) -> GradientsParams {
        let autodiff = loss.backward();
        let backbone = self.backbone.and_then(|backbone| {
            let maps_gradient = backbone.maps.grad(&autodiff)?;
            Some((maps_gradient, backbone.forward, backbone.precision))
        });
        let mut gradients = GradientsParams::from_grads(autodiff, self.embedder);
        let Some((maps_gradient, forward, precision)) = backbone else {
            return gradients;
        };
        match precision {
            Precision::F32 | Precision::Bf16 => {
                forward.backward(maps_gradient.cast(precision.dtype()), &mut gradients);
                gradients
            }
            Precision::F16 => {
                let backbone = &self.embedder.backbone;
                match loss_scaling::backward(backbone, forward, maps_gradient, &mut gradients) {
                    true => gradients,
                    false => GradientsParams::new(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::backend::Autodiff;
    use burn::module::{Module, ParamId};
    use burn::optim::{AdamConfig, Optimizer};
    use burn::tensor::{TensorData, backend::Backend};
    use burn_store::ModuleSnapshot;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::model::EmbedderConfig;
    use crate::model::config::{Backbone, Descriptor, ModelConfig, Pooling};
    use crate::model::train_step_options::OtherRows;

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;

    fn embedder(change: impl FnOnce(&mut ModelConfig)) -> Embedder<AB> {
        let mut config = ModelConfig::default();
        change(&mut config);
        EmbedderConfig::from(&config).init(&Default::default())
    }

    fn options(seed: u64, freeze_backbone: bool) -> TrainStepOptions {
        TrainStepOptions {
            draws: ChaCha8Rng::seed_from_u64(seed),
            freeze_backbone,
            recompute: false,
            precision: Precision::F32,
            other_rows: OtherRows::default(),
            whole_batch: None,
        }
    }

    /// A wave of numbers in [−1, 1], independent of other tests' random numbers.
    fn wave<Back: Backend, const D: usize>(shape: [usize; D]) -> Tensor<Back, D> {
        let count = shape.iter().product::<usize>();
        let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        Tensor::from_data(TensorData::new(wave, shape), &Default::default())
    }

    fn images<Back: Backend>(side: usize) -> Tensor<Back, 4> {
        wave([4, 3, side, side])
    }

    fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    /// Every tensor of the evaluation network by name.
    fn tensors(embedder: &Embedder<AB>) -> BTreeMap<String, TensorData> {
        let tensors = embedder.valid().collect(None, None, false).into_iter();
        tensors
            .map(|tensor| (tensor.full_path(), tensor.to_data().unwrap()))
            .collect()
    }

    /// The order of single-precision sums differs, because each thread has a shard of the batch.
    fn assert_close(found: Vec<f32>, expected: Vec<f32>) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn dropout_is_a_function_of_the_generator() {
        let embedder = embedder(|config| config.dropout = 0.5);
        let embed = |seed| values(embedder.forward_train(images(16), options(seed, false)).0);
        assert_eq!(embed(1), embed(1));
        assert_ne!(embed(1), embed(2));
    }

    #[test]
    fn evaluation_and_training_without_dropout_keep_all_features() {
        let embedder = embedder(|config| config.dropout = 0.5);
        let evaluated = embedder.valid();
        assert_eq!(
            values(evaluated.forward(images(16))),
            values(evaluated.forward(images(16)))
        );
        let embedder = self::embedder(|_| ());
        let trained = embedder.forward_train(images(16), options(1, false)).0;
        assert_close(values(trained), values(embedder.forward(images(16))));
    }

    #[test]
    fn frozen_backbone_runs_as_at_evaluation_and_only_the_head_has_gradients() {
        let embedder = embedder(|config| {
            config.pooling = Pooling(vec![Descriptor::Max, Descriptor::Gem]);
            config.gem_learned = Some(true);
        });
        // Running statistics that differ from the batch's.
        embedder.forward(images(16) * 3.0 + 1.0);
        let before = tensors(&embedder);
        let (embeddings, backward) = embedder.forward_train(images(16), options(1, true));
        assert_eq!(
            values(embeddings.clone()),
            values(embedder.valid().forward(images(16)))
        );
        assert_eq!(tensors(&embedder), before, "running statistics changed");

        let loss = (embeddings * wave([4, 64])).sum();
        let gradients = backward.gradients(loss);
        let head: [ParamId; 3] = [
            embedder.head.weight.id,
            embedder.head.bias.as_ref().unwrap().id,
            embedder
                .gem
                .as_ref()
                .unwrap()
                .power_offset
                .as_ref()
                .unwrap()
                .id,
        ];
        assert_eq!(gradients.len(), head.len());
        assert!(gradients.get::<B, 2>(head[0]).is_some());
        assert!(gradients.get::<B, 1>(head[1]).is_some());
        assert!(gradients.get::<B, 1>(head[2]).is_some());
    }

    #[test]
    fn frozen_batch_norm_trains_with_the_running_statistics() {
        for (backbone, side) in [(Backbone::Conv4, 16), (Backbone::GoogLeNet, 32)] {
            let mut embedder = embedder(|config| {
                config.backbone = backbone;
                config.freeze_batch_norm = true;
            });
            let before = tensors(&embedder);
            let (embeddings, backward) = embedder.forward_train(images(side), options(1, false));
            let evaluated = embedder.valid().forward(images(side));
            assert_close(values(embeddings.clone()), values(evaluated));

            let loss = (embeddings * wave([4, 64])).sum();
            let gradients = backward.gradients(loss);
            embedder = AdamConfig::new().init().step(1e-3, embedder, gradients);
            for (name, tensor) in tensors(&embedder) {
                let trains = !name.contains("running_");
                assert_eq!(tensor != before[&name], trains, "{backbone}: {name}");
            }
        }
    }

    #[test]
    fn training_steps_are_bit_identical_when_repeated_and_with_recomputation() {
        for (backbone, side) in [
            (Backbone::Conv4, 32),
            (Backbone::GoogLeNet, 64),
            (Backbone::ResNet50, 32),
            (Backbone::EfficientNetLite0, 32),
        ] {
            let device = Default::default();
            // A clone would share its running statistics; a record has a copy.
            let config = EmbedderConfig::from(&ModelConfig {
                backbone,
                ..ModelConfig::default()
            });
            let start = config.init::<AB>(&device);
            let run = |recompute| {
                let mut embedder = config.init::<AB>(&device);
                embedder = embedder.load_record(start.clone().into_record());
                let mut optimizer = AdamConfig::new().init();
                for step in 0..3 {
                    let options = TrainStepOptions {
                        recompute,
                        ..options(step, false)
                    };
                    let images = wave([8, 3, side, side]);
                    let (embeddings, backward) = embedder.forward_train(images, options);
                    let gradients = backward.gradients((embeddings * wave([8, 64])).sum());
                    embedder = optimizer.step(1e-3, embedder, gradients);
                }
                values(embedder.valid().forward(wave([2, 3, side, side])))
            };
            let once = run(false);
            assert_eq!(once, run(false), "{backbone:?}");
            assert_eq!(once, run(true), "{backbone:?}");
        }
    }
}
