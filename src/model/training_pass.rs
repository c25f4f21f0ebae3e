//! What the network does in training only: dropout, and a backbone that stands still.

use burn::{
    module::AutodiffModule,
    optim::GradientsParams,
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{BackboneNetwork, Embedder, execution::Recording};

/// What a pass of training depends on beside the images.
#[derive(Debug, Clone)]
pub struct TrainStepOptions {
    /// Where the dropped features are drawn from. On the host, not from the backend's generator,
    /// which has a state that no checkpoint holds.
    pub draws: ChaCha8Rng,
    /// Whether the backbone works as at evaluation and gets no gradient.
    pub freeze_backbone: bool,
    /// Whether each stage of the backbone is computed anew when its gradients are due.
    pub recompute: bool,
}

/// From a loss of a step's embeddings to the gradients of the parameters.
pub struct BackwardPass<'m, B: AutodiffBackend> {
    embedder: &'m Embedder<B>,
    /// Where the backbone trains.
    backbone: Option<RecordedBackbone<'m, B>>,
}

/// The feature maps, and how they came about.
struct RecordedBackbone<'m, B: AutodiffBackend> {
    maps: Tensor<B, 4>,
    recording: Recording<'m, B, BackboneNetwork<B>>,
}

impl<B: AutodiffBackend> Embedder<B> {
    /// Embeds images for a step of training: as [`forward`](Self::forward), with dropout before the
    /// dense layer, or with a frozen backbone. The embeddings hang in autodiff's graph down to the
    /// feature maps; the way from there through the backbone is recorded by [`Recording`].
    ///
    /// A frozen backbone computes as at evaluation, batch norms folded and nothing recorded for a
    /// backward pass; only the head's parameters have gradients then.
    ///
    /// # Shapes
    /// Those of [`forward`](Self::forward).
    pub fn forward_train(
        &self,
        images: Tensor<B, 4>,
        mut pass: TrainStepOptions,
    ) -> (Tensor<B, 2>, BackwardPass<'_, B>) {
        let images = self.channels_last(images).inner();
        let (maps, backbone) = match pass.freeze_backbone {
            true => {
                let maps = self.backbone.valid().forward(images);
                (Tensor::from_inner(maps), None)
            }
            false => {
                let (maps, recording) = Recording::new(&self.backbone, images, pass.recompute);
                let maps = Tensor::from_inner(maps).require_grad();
                let recorded = RecordedBackbone {
                    maps: maps.clone(),
                    recording,
                };
                (maps, Some(recorded))
            }
        };
        let features = drop_out(self.pool(maps), self.dropout(), &mut pass.draws);
        let backward = BackwardPass {
            embedder: self,
            backbone,
        };
        (self.embed(features), backward)
    }
}

impl<B: AutodiffBackend> BackwardPass<'_, B> {
    /// The gradients of a `loss` of the embeddings by parameter.
    pub fn gradients(self, loss: Tensor<B, 1>) -> GradientsParams {
        let found = loss.backward();
        let of_maps = self
            .backbone
            .and_then(|RecordedBackbone { maps, recording }| {
                let of_maps = maps.grad(&found)?;
                Some((of_maps, recording))
            });
        let mut gradients = GradientsParams::from_grads(found, self.embedder);
        if let Some((of_maps, recording)) = of_maps {
            recording.backward(of_maps, &mut gradients);
        }
        gradients
    }
}

/// Sets each of `features` to 0 with probability `share`, below 1, and divides the others by
/// 1 − `share`, so that their expectation stays (Srivastava et al. 2014, section 10, "inverted").
fn drop_out<B: Backend>(
    features: Tensor<B, 2>,
    share: f64,
    draws: &mut ChaCha8Rng,
) -> Tensor<B, 2> {
    if share == 0.0 {
        return features;
    }
    let kept = (1.0 / (1.0 - share)) as f32;
    let shape = features.dims();
    let mask: Vec<f32> = (0..shape.iter().product())
        .map(|_| if draws.random_bool(share) { 0.0 } else { kept })
        .collect();
    let mask = Tensor::from_data(TensorData::new(mask, shape), &features.device());
    features * mask
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, module::ParamId};
    use burn_store::ModuleSnapshot;
    use rand::SeedableRng;
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::EmbedderConfig;
    use crate::model::config::{Backbone, Descriptor, ModelConfig, Pooling};

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;

    fn embedder(change: impl FnOnce(&mut ModelConfig)) -> Embedder<AB> {
        let mut config = ModelConfig::default();
        change(&mut config);
        EmbedderConfig::from(&config).init(&Default::default())
    }

    fn pass(seed: u64, freeze_backbone: bool) -> TrainStepOptions {
        TrainStepOptions {
            draws: ChaCha8Rng::seed_from_u64(seed),
            freeze_backbone,
            recompute: false,
        }
    }

    /// Numbers in [−1, 1] that no other test's draws can disturb.
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

    /// Every tensor of the network as evaluation sees it, by name.
    fn tensors(embedder: &Embedder<AB>) -> BTreeMap<String, TensorData> {
        let tensors = embedder.valid().collect(None, None, false).into_iter();
        tensors
            .map(|tensor| (tensor.full_path(), tensor.to_data().unwrap()))
            .collect()
    }

    /// Equal but for sums of another order, in single precision: each thread has a part of the batch.
    fn assert_close(found: Vec<f32>, expected: Vec<f32>) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn dropout_takes_its_share_and_keeps_the_expectation() {
        let share = 0.3;
        let ones = Tensor::<B, 2>::ones([100, 1000], &Default::default());
        let left = values(drop_out(ones, share, &mut pass(1, false).draws));
        let dropped = left.iter().filter(|&&x| x == 0.0).count() as f64 / 1e5;
        // Five standard deviations of 100,000 draws.
        let margin = 5.0 * (share * (1.0 - share) / 1e5).sqrt();
        assert!((dropped - share).abs() < margin, "{dropped}");
        let kept = (1.0 / 0.7) as f32;
        assert!(left.iter().all(|&x| x == 0.0 || x == kept));
    }

    #[test]
    fn dropout_is_a_function_of_its_draws() {
        let embedder = embedder(|config| config.dropout = 0.5);
        let embed = |seed| values(embedder.forward_train(images(16), pass(seed, false)).0);
        assert_eq!(embed(1), embed(1));
        assert_ne!(embed(1), embed(2));
    }

    #[test]
    fn evaluation_and_training_without_dropout_drop_nothing() {
        let embedder = embedder(|config| config.dropout = 0.5);
        let evaluated = embedder.valid();
        assert_eq!(
            values(evaluated.forward(images(16))),
            values(evaluated.forward(images(16)))
        );
        let embedder = self::embedder(|_| ());
        let trained = embedder.forward_train(images(16), pass(1, false)).0;
        assert_close(values(trained), values(embedder.forward(images(16))));
    }

    #[test]
    fn frozen_backbone_is_that_of_evaluation_and_only_the_head_has_gradients() {
        let embedder = embedder(|config| {
            config.pooling = Pooling(vec![Descriptor::Max, Descriptor::Gem]);
            config.gem_learned = Some(true);
        });
        // Statistics that normalise otherwise than the batch would.
        embedder.forward(images(16) * 3.0 + 1.0);
        let before = tensors(&embedder);
        let (embeddings, backward) = embedder.forward_train(images(16), pass(1, true));
        assert_eq!(
            values(embeddings.clone()),
            values(embedder.valid().forward(images(16)))
        );
        assert_eq!(tensors(&embedder), before, "running statistics moved");

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
    fn frozen_batch_norm_trains_on_the_statistics_that_evaluation_has() {
        use burn::optim::{AdamConfig, Optimizer};
        for (backbone, side) in [(Backbone::Conv4, 16), (Backbone::GoogLeNet, 32)] {
            let mut embedder = embedder(|config| {
                config.backbone = backbone;
                config.freeze_batch_norm = true;
            });
            let before = tensors(&embedder);
            let (embeddings, backward) = embedder.forward_train(images(side), pass(1, false));
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
}
