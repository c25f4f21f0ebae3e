//! The check of the loss with its negatives on a batch of the configured shape.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Checks;
use super::names::LOSS;
use crate::config::Config;
use crate::loss::{LossStatistics, pairwise_mib};
use crate::model::unit_length;
use crate::negatives::Space;
use crate::setting::SettingError;
use crate::training::Objective;

/// Computes the loss of random embeddings of a batch, and adds the number of its anchors.
///
/// # Errors
/// If no image of a batch has a positive and a negative, or the loss is not finite.
pub(in crate::training) fn check_objective<B: AutodiffBackend>(
    checks: &mut Checks,
    config: &Config,
    device: &B::Device,
) -> Result<(), SettingError> {
    let statistics = random_loss::<B>(config, device);
    let (loss, negatives) = (config.loss.kind.name(), config.negatives.description());
    judge(config, &statistics)?;
    checks.passed(
        LOSS,
        format!(
            "{loss} with negatives {negatives}: {} anchors in a batch{}",
            statistics.anchors,
            describe_pairs(config)
        ),
    );
    Ok(())
}

/// The number of pairs, if all are compared, and an estimate of the memory of the matrices that compare them.
fn describe_pairs(config: &Config) -> String {
    let classes = std::iter::repeat_n(config.batch.images_per_class, config.batch.classes);
    match config.negatives.all_pairs(classes) {
        Some(pairs) => format!(
            "; the {pairs} pairs need up to {} MiB",
            pairwise_mib(pairs.saturating_mul(2))
        ),
        None => String::new(),
    }
}

fn judge(config: &Config, statistics: &LossStatistics) -> Result<(), SettingError> {
    let (loss, negatives) = (config.loss.kind.name(), config.negatives.name());
    let (classes, images) = (config.batch.classes, config.batch.images_per_class);
    if statistics.anchors == 0 {
        return Err(SettingError::value(
            "loss.name",
            loss,
            format!(
                "with negatives.name = \"{negatives}\" no anchor of a batch of {classes} classes × {images} images \
                 has a positive and a negative; give more batch.images_per_class, or other negatives"
            ),
        ));
    }
    if !statistics.mean.is_finite() {
        return Err(SettingError::value(
            "loss.name",
            loss,
            "the loss of random embeddings is infinite or NaN; give smaller values in [loss]",
        ));
    }
    Ok(())
}

/// The statistics of the loss of random embeddings, on the sphere if the network's are.
fn random_loss<B: AutodiffBackend>(config: &Config, device: &B::Device) -> LossStatistics {
    let per_class = config.batch.images_per_class;
    let (n, dim) = (config.batch.classes * per_class, config.model.embedding_dim);
    let mut rng = ChaCha8Rng::seed_from_u64(config.training.seed);
    let values: Vec<f32> = (0..n * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let embeddings = Tensor::<B, 2>::from_data(TensorData::new(values, [n, dim]), device);
    let embeddings = match config.model.space() {
        Space::Sphere => unit_length(embeddings),
        Space::Euclidean => embeddings,
    };
    let labels: Vec<i32> = (0..n).map(|image| (image / per_class) as i32).collect();
    let labels = Tensor::<B, 1, Int>::from_ints(labels.as_slice(), device);
    let (_, statistics) = Objective::new(config).forward(embeddings, labels);
    LossStatistics::from_data(statistics.into_data()).expect("statistics are floats")
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;

    use super::*;
    use crate::loss::{LossConfig, LossKind};
    use crate::negatives::NegativesConfig;

    type AB = Autodiff<burn_flex::Flex>;

    #[test]
    fn every_loss_has_anchors_with_all_negatives() {
        for kind in LossKind::all() {
            for negatives in NegativesConfig::all() {
                let config = Config {
                    loss: LossConfig {
                        kind: kind.clone(),
                        ..LossConfig::default()
                    },
                    negatives,
                    ..Config::default()
                };
                let mut checks = Checks::default();
                check_objective::<AB>(&mut checks, &config, &Default::default()).unwrap();
                let pairs = config.negatives.name() == "loop";
                let anchors = if pairs { 32 } else { 64 };
                let message = &checks.as_slice()[0].message;
                assert!(
                    message.contains(&format!(": {anchors} anchors")),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn all_pairs_are_counted_with_their_memory() {
        for (anchors, count) in [("pairs", 36), ("images", 24), ("points", 24)] {
            let sets = [
                "negatives.pairs=all".to_string(),
                format!("negatives.anchors={anchors}"),
                "batch.classes=6".into(),
                "batch.images_per_class=4".into(),
            ];
            let config = Config::parse("", "test", &sets).unwrap();
            let mut checks = Checks::default();
            check_objective::<AB>(&mut checks, &config, &Default::default()).unwrap();
            let message = &checks.as_slice()[0].message;
            let expected = format!(": {count} anchors in a batch; the 36 pairs need up to 1 MiB");
            assert!(message.ends_with(&expected), "{message}");
        }
    }

    #[test]
    fn batch_without_anchors_and_infinite_losses_are_refused() {
        let config = Config::default();
        let statistics = |anchors, mean| LossStatistics {
            sum: mean,
            mean,
            anchors,
            active: 0,
            mined: 0,
            mean_positive: 0.0,
            mean_negative: 0.0,
        };
        assert_eq!(judge(&config, &statistics(2, 0.5)), Ok(()));
        let error = judge(&config, &statistics(0, 0.0)).unwrap_err().to_string();
        assert!(
            error.contains("no anchor of a batch of 16 classes × 4 images"),
            "{error}"
        );
        let error = judge(&config, &statistics(2, f64::INFINITY)).unwrap_err();
        assert!(error.to_string().contains("infinite or NaN"));
    }
}
