//! Hard positive, hard negative triplet loss.

use burn::config::Config;
use burn::tensor::{activation::log_sigmoid, backend::Backend};
use serde::{Deserialize, Serialize};

use super::LossOutput;
use crate::negatives::{
    Comparisons,
    masked::{largest, smallest},
};

/// Configuration of a [hard positive, hard negative triplet loss](HphnTripletLoss).
///
/// It is Burn's `Config` by hand, because the derive can neither fill missing keys with defaults nor
/// refuse unknown ones, and this is also a section of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HphnTripletLossConfig {
    /// m in max(0, d⁺ − d⁻ + m), at least 0 (1e-5 in the published command). Default 0.2.
    pub margin: f64,
    /// softplus(d⁺ − d⁻) instead of the hinge; the margin is then not used. Default false.
    pub soft_margin: bool,
}

impl Config for HphnTripletLossConfig {}

impl Default for HphnTripletLossConfig {
    fn default() -> Self {
        Self {
            margin: 0.2,
            soft_margin: false,
        }
    }
}

impl HphnTripletLossConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [margin](Self::margin) m.
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets whether the [soft margin](Self::soft_margin) replaces the hinge.
    pub fn with_soft_margin(mut self, soft_margin: bool) -> Self {
        self.soft_margin = soft_margin;
        self
    }

    /// Initialises the [loss](HphnTripletLoss).
    pub fn init(&self) -> HphnTripletLoss {
        HphnTripletLoss {
            margin: self.margin,
            soft_margin: self.soft_margin,
        }
    }
}

/// The triplet loss of each anchor's hardest positive and hardest negative in the batch
/// ("batch hard", arXiv 1703.07737; HPHN-triplet in arXiv 2003.02546):
///
/// ```text
/// L = max(0, d⁺ − d⁻ + m)      or, with the soft margin,      L = log(1 + exp(d⁺ − d⁻))
/// ```
///
/// with d⁺ the largest of the anchor's positive distances and d⁻ the smallest of its negative ones.
/// An anchor without a positive or without a negative is not counted and contributes 0 with
/// gradient 0. Active are the anchors with L > 0; under the soft margin, whose loss never reaches 0,
/// those with d⁺ > d⁻.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HphnTripletLoss {
    /// m, at least 0.
    pub margin: f64,
    /// Whether the soft margin replaces the hinge.
    pub soft_margin: bool,
}

impl HphnTripletLoss {
    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positives, \[A, Kn\] negatives
    /// - output: \[A\]
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        let (positive, has_positive) = largest(comparisons.positives, comparisons.positive_mask);
        let (negative, has_negative) = smallest(comparisons.negatives, comparisons.negative_mask);
        let counted = has_positive.bool_and(has_negative).squeeze_dim::<1>(1);
        let positive = positive
            .squeeze_dim::<1>(1)
            .mask_fill(counted.clone().bool_not(), 0.0);
        let negative = negative
            .squeeze_dim::<1>(1)
            .mask_fill(counted.clone().bool_not(), 0.0);

        let excess = positive.clone() - negative.clone();
        let (losses, active) = if self.soft_margin {
            // softplus(x) = −log σ(−x), in the form that neither overflows nor loses its gradient.
            let losses = log_sigmoid(excess.clone().neg()).neg();
            (losses, excess.greater_elem(0.0))
        } else {
            let margin_left = excess.add_scalar(self.margin);
            let active = margin_left.clone().greater_elem(0.0);
            (burn::tensor::activation::relu(margin_left), active)
        };
        LossOutput {
            losses: losses.mask_fill(counted.clone().bool_not(), 0.0),
            active: active.bool_and(counted.clone()),
            counted,
            positive: positive.detach(),
            negative: negative.detach(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::loss::LossStatistics;
    use crate::negatives::Negatives;
    use burn::tensor::{Int, Tensor};

    const HINGE: HphnTripletLoss = HphnTripletLoss {
        margin: 0.2,
        soft_margin: false,
    };
    const SOFT: HphnTripletLoss = HphnTripletLoss {
        margin: 0.2,
        soft_margin: true,
    };

    fn output<B: Backend>(
        loss: HphnTripletLoss,
        negatives: Negatives,
        embeddings: Tensor<B, 2>,
        labels: &[i64],
    ) -> LossOutput<B> {
        let labels = Tensor::<B, 1, Int>::from_data(labels, &Default::default());
        loss.forward(negatives.compare(embeddings, labels))
    }

    fn statistics<B: Backend>(output: &LossOutput<B>) -> LossStatistics {
        LossStatistics::from_data(output.statistics().into_data()).unwrap()
    }

    /// The mean loss, its gradient and the statistics.
    fn mean_and_gradient(
        loss: HphnTripletLoss,
        negatives: Negatives,
        rows: &Rows,
        labels: &[i64],
    ) -> (f64, Vec<f64>, LossStatistics) {
        let leaf = tensor::<TestAutodiff>(rows).require_grad();
        let output = output(loss, negatives, leaf.clone(), labels);
        let mean = output.mean();
        let gradient = leaf.grad(&mean.clone().backward()).unwrap();
        (values(mean)[0], values(gradient), statistics(&output))
    }

    /// (d⁺, d⁻) of every anchor that has both, by plain loops.
    fn hardest(negatives: Negatives, rows: &[Vec<f64>], labels: &[i64]) -> Vec<(f64, f64)> {
        let images = 0..rows.len();
        let distance = |i: usize, j: usize| point_distance(&rows[i], &rows[j]);
        let farthest = |i: usize| {
            let others = images.clone().filter(|&j| j != i && labels[j] == labels[i]);
            others
                .map(|j| distance(i, j))
                .fold(f64::NEG_INFINITY, f64::max)
        };
        let hardest: Vec<_> = match negatives {
            Negatives::None => images
                .clone()
                .map(|i| {
                    let others = images.clone().filter(|&j| labels[j] != labels[i]);
                    let nearest = others.map(|j| distance(i, j)).fold(f64::INFINITY, f64::min);
                    (farthest(i), nearest)
                })
                .collect(),
            Negatives::Loop => {
                let pairs = (0..rows.len() / 2).filter(|&i| labels[2 * i] == labels[2 * i + 1]);
                let arc = |i: usize| [&rows[2 * i][..], &rows[2 * i + 1][..]];
                pairs
                    .clone()
                    .map(|i| {
                        let others = pairs.clone().filter(|&j| labels[2 * j] != labels[2 * i]);
                        let nearest = others
                            .map(|j| arc_distance(arc(i), arc(j)))
                            .fold(f64::INFINITY, f64::min);
                        (farthest(2 * i).max(farthest(2 * i + 1)), nearest)
                    })
                    .collect()
            }
        };
        let both = |(positive, negative): &(f64, f64)| positive.is_finite() && negative.is_finite();
        hardest.into_iter().filter(both).collect()
    }

    fn expected_loss(loss: HphnTripletLoss, (positive, negative): (f64, f64)) -> f64 {
        let excess: f64 = positive - negative;
        if loss.soft_margin {
            excess.exp().ln_1p()
        } else {
            (excess + loss.margin).max(0.0)
        }
    }

    /// Images near the centre of their class, of unit length to the rounding of `f32`.
    fn batch(classes: usize, images: usize, dim: usize, spread: f64) -> (Rows, Vec<i64>) {
        let mut draws = Draws::new(classes as u64);
        let mut rows = Rows::new();
        let mut labels = Vec::new();
        for class in 0..classes {
            let centre = draws.direction(dim);
            for _ in 0..images {
                let direction = draws.direction(dim);
                let row: Vec<f64> = centre
                    .iter()
                    .zip(&direction)
                    .map(|(c, d)| c + spread * d)
                    .collect();
                let length = dot(&row, &row).sqrt();
                rows.push(row.iter().map(|x| (x / length) as f32).collect());
                labels.push(10 + class as i64);
            }
        }
        (rows, labels)
    }

    #[test]
    fn losses_and_statistics_agree_with_plain_loops() {
        for (classes, images, dim) in [(8, 2, 8), (4, 8, 16), (16, 2, 512), (2, 32, 64)] {
            let (rows, labels) = batch(classes, images, dim, 0.8);
            for negatives in [Negatives::None, Negatives::Loop] {
                let hardest = hardest(negatives, &widened(&rows), &labels);
                for loss in [HINGE, SOFT] {
                    let output = output(loss, negatives, tensor::<TestBackend>(&rows), &labels);
                    let expected: Vec<_> = hardest
                        .iter()
                        .map(|&pair| expected_loss(loss, pair))
                        .collect();
                    let actual = values(output.losses.clone());
                    for (actual, expected) in actual.iter().zip(&expected) {
                        assert!((actual - expected).abs() < 1e-6, "{actual}, not {expected}");
                    }

                    let anchors = hardest.len() as f64;
                    let sum: f64 = expected.iter().sum();
                    let pushed = |(positive, negative): &&(f64, f64)| {
                        let margin = if loss.soft_margin { 0.0 } else { loss.margin };
                        positive - negative + margin > 0.0
                    };
                    let statistics = statistics(&output);
                    assert_eq!(statistics.anchors, hardest.len());
                    assert_eq!(statistics.active, hardest.iter().filter(pushed).count());
                    for (actual, expected) in [
                        (statistics.sum, sum),
                        (statistics.mean, sum / anchors),
                        (values(output.sum())[0], sum),
                        (values(output.mean())[0], sum / anchors),
                        (
                            statistics.mean_positive,
                            hardest.iter().map(|pair| pair.0).sum::<f64>() / anchors,
                        ),
                        (
                            statistics.mean_negative,
                            hardest.iter().map(|pair| pair.1).sum::<f64>() / anchors,
                        ),
                    ] {
                        assert!((actual - expected).abs() < 1e-5 * expected.max(1.0));
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_agree_with_central_differences_of_plain_loops() {
        for (classes, images) in [(4, 2), (2, 4)] {
            let (rows, labels) = batch(classes, images, 6, 0.8);
            for negatives in [Negatives::None, Negatives::Loop] {
                for loss in [HINGE, SOFT] {
                    let mean = |rows: &[Vec<f64>]| {
                        // LoOp sees directions only.
                        let rows: Vec<Vec<f64>> = match negatives {
                            Negatives::None => rows.to_vec(),
                            Negatives::Loop => rows.iter().map(|row| unit(row)).collect(),
                        };
                        let hardest = hardest(negatives, &rows, &labels);
                        let losses = hardest.iter().map(|&pair| expected_loss(loss, pair));
                        losses.sum::<f64>() / hardest.len() as f64
                    };
                    let expected = numeric_gradient(mean, &widened(&rows), 1e-5);
                    let (_, gradient, _) = mean_and_gradient(loss, negatives, &rows, &labels);
                    let error = relative_error(&gradient, &expected);
                    assert!(error <= 1e-3, "{negatives:?}, {loss:?}: {error}");
                }
            }
        }
    }

    /// Nothing is counted, the mean is 0 and so is its gradient.
    fn assert_no_anchor(negatives: Negatives, rows: &Rows, labels: &[i64]) {
        for loss in [HINGE, SOFT] {
            let (mean, gradient, statistics) = mean_and_gradient(loss, negatives, rows, labels);
            assert_eq!((mean, statistics.anchors, statistics.active), (0.0, 0, 0));
            assert_eq!(
                (statistics.mean_positive, statistics.mean_negative),
                (0.0, 0.0)
            );
            assert!(gradient.iter().all(|&x| x == 0.0), "{gradient:?}");
        }
    }

    #[test]
    fn batch_of_one_class_has_no_anchor() {
        let rows = Kind::Random.rows(3, 8, 1);
        for negatives in [Negatives::None, Negatives::Loop] {
            assert_no_anchor(negatives, &rows, &[4; 6]);
        }
    }

    #[test]
    fn batch_of_single_images_has_no_anchor() {
        let rows = Kind::Random.rows(3, 8, 1);
        for negatives in [Negatives::None, Negatives::Loop] {
            assert_no_anchor(negatives, &rows, &[0, 1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn anchor_without_positive_is_not_counted() {
        let rows = Kind::Random.rows(2, 8, 1);
        let labels = [0, 0, 1, 2];
        let output = output(
            HINGE,
            Negatives::None,
            tensor::<TestBackend>(&rows),
            &labels,
        );
        assert_eq!(statistics(&output).anchors, 2);
        let counted: Vec<bool> = output.counted.into_data().iter::<bool>().collect();
        assert_eq!(counted, [true, true, false, false]);
    }

    #[test]
    fn identical_images_of_all_classes_cost_the_margin_with_gradient_zero() {
        let rows = vec![Kind::Random.rows(1, 64, 1)[0].clone(); 4];
        for negatives in [Negatives::None, Negatives::Loop] {
            let (mean, gradient, statistics) =
                mean_and_gradient(HINGE, negatives, &rows, &[0, 0, 1, 1]);
            assert!((mean - HINGE.margin).abs() < 1e-6);
            assert_eq!(statistics.active, statistics.anchors);
            assert!(gradient.iter().all(|&x| x == 0.0));
        }
    }

    #[test]
    fn gradients_are_finite_for_batches_of_every_kind() {
        let labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
        for kind in Kind::ALL {
            for negatives in [Negatives::None, Negatives::Loop] {
                for loss in [HINGE, SOFT] {
                    let rows = kind.rows(8, 16, 4);
                    let (mean, gradient, _) = mean_and_gradient(loss, negatives, &rows, &labels);
                    assert!(mean.is_finite(), "{kind:?}");
                    assert!(gradient.iter().all(|x| x.is_finite()), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn soft_margin_stays_finite_for_large_distances() {
        let rows = vec![
            vec![0.0, 0.0],
            vec![4e3, 0.0],
            vec![1.0, 0.0],
            vec![1.0, 1.0],
        ];
        let (mean, gradient, _) = mean_and_gradient(SOFT, Negatives::None, &rows, &[0, 0, 1, 1]);
        assert!(mean > 1e3 && mean.is_finite());
        assert!(gradient.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn configuration_fills_missing_keys_and_refuses_unknown_ones() {
        let config: HphnTripletLossConfig = toml::from_str("margin = 0.5").unwrap();
        assert_eq!(config, HphnTripletLossConfig::new().with_margin(0.5));
        assert!(toml::from_str::<HphnTripletLossConfig>("margins = 0.5").is_err());
        assert_eq!(config.with_soft_margin(true).init().margin, 0.5);
    }
}
