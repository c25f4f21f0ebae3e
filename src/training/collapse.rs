//! Whether the embeddings have collapsed.

use super::epoch_statistics::EpochStatistics;
use crate::config::Config;
use crate::loss::LossKind;
use crate::negatives::Space;

/// Distances below this are those of a collapsed batch: on the unit sphere, the mean distance of
/// independent points is about 1.4.
const COLLAPSED: f64 = 0.01;

/// Similarities above this are those of a collapsed batch, at distances below 0.2. If multi-similarity mines pairs that
/// differ by more than −ε only, so are those above 1 + ε.
const ALIKE: f64 = 0.98;

/// Per cent of anchors with a loss, below which the loss has next to no gradient.
const IDLE: f64 = 5.0;

/// The number of consecutive steps after which a collapse is reported. Training often recovers from a
/// shorter one.
const STEPS: usize = 50;

/// How the embeddings have collapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collapse {
    /// The hardest positives and the hardest negatives of an anchor are equally near, at distance 0, and the loss is
    /// the margin.
    Point,
    /// All are so alike that multi-similarity mines nothing, and its gradient is 0.
    NothingMined,
}

/// Notices a collapse.
#[derive(Debug)]
pub(super) struct CollapseDetector {
    /// The collapse that the loss is watched for, if any.
    watched: Option<Collapse>,
    margin: f64,
    /// The similarity above which embeddings are alike.
    alike: f64,
    /// Consecutive collapsed steps.
    steps: usize,
    reported: bool,
}

impl CollapseDetector {
    /// The detector for a configuration.
    pub(super) fn new(config: &Config) -> Self {
        let (watched, margin) = match &config.loss.kind {
            LossKind::HphnTriplet(loss) => (Some(Collapse::Point), loss.margin),
            LossKind::Triplet(loss) => (Some(Collapse::Point), loss.margin),
            LossKind::MultiSimilarity(_) => (Some(Collapse::NothingMined), 0.0),
            _ => (None, 0.0),
        };
        let alike = match &config.loss.kind {
            LossKind::MultiSimilarity(loss) => ALIKE.min(1.0 + loss.epsilon),
            _ => ALIKE,
        };
        Self {
            watched: watched.filter(|_| config.model.space() == Space::Sphere),
            margin,
            alike,
            steps: 0,
            reported: false,
        }
    }

    /// Adds the statistics of an epoch. Returns the collapse to report, once in a training.
    pub(super) fn add(&mut self, epoch: &EpochStatistics) -> Option<Collapse> {
        let watched = self.watched?;
        let means = epoch.means();
        // An absent mean is NaN, for which every comparison is false.
        let mean = |key: &str| means.get(key).copied().unwrap_or(f64::NAN);
        let collapsed = match watched {
            Collapse::Point => {
                mean("d_positive") < COLLAPSED
                    && mean("d_negative") < COLLAPSED
                    && (mean("loss") - self.margin).abs() <= COLLAPSED
            }
            Collapse::NothingMined => {
                mean("s_positive") > self.alike
                    && mean("s_negative") > self.alike
                    && mean("active") < IDLE
            }
        };
        self.steps = match collapsed {
            true => self.steps + epoch.steps(),
            false => 0,
        };
        let report = self.steps >= STEPS && !self.reported;
        self.reported |= report;
        report.then_some(watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Measure;
    use crate::loss::LossStatistics;
    use crate::training::step_statistics::StepStatistics;

    fn epoch(loss: f64, distance: f64, steps: usize) -> EpochStatistics {
        measured(loss, 4, distance, steps, Measure::Distance)
    }

    /// Steps of multi-similarity.
    fn similar(active: usize, similarity: f64, steps: usize) -> EpochStatistics {
        measured(0.02, active, similarity, steps, Measure::InnerProduct)
    }

    fn measured(
        loss: f64,
        active: usize,
        mean: f64,
        steps: usize,
        measure: Measure,
    ) -> EpochStatistics {
        let step = StepStatistics {
            loss: LossStatistics {
                sum: 4.0 * loss,
                mean: loss,
                anchors: 4,
                active,
                mined: 2 * active,
                mean_positive: mean,
                mean_negative: mean,
            },
            finite_embeddings: true,
        };
        let mut epoch = EpochStatistics::default();
        for _ in 0..steps {
            epoch.add(&step, measure);
        }
        epoch
    }

    fn detector() -> CollapseDetector {
        detector_of(&["loss.name=hphn-triplet", "loss.margin=0.2"])
    }

    fn detector_of(sets: &[&str]) -> CollapseDetector {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        CollapseDetector::new(&Config::parse("", "test", &sets).unwrap())
    }

    #[test]
    fn lasting_collapse_is_reported_once() {
        let mut detector = detector();
        assert_eq!(detector.add(&epoch(0.2, 1e-3, 30)), None);
        assert_eq!(detector.add(&epoch(0.2, 1e-3, 30)), Some(Collapse::Point));
        assert_eq!(detector.add(&epoch(0.2, 1e-3, 30)), None);
    }

    #[test]
    fn recovery_and_ordinary_distances_are_not_reported() {
        let mut detector = detector();
        assert_eq!(detector.add(&epoch(0.2, 1e-3, 49)), None);
        assert_eq!(detector.add(&epoch(0.19, 0.3, 1)), None);
        assert_eq!(detector.add(&epoch(0.2, 1e-3, 49)), None);
        assert_eq!(detector.add(&epoch(0.0, 1.0, 1000)), None);
    }

    #[test]
    fn similar_embeddings_of_which_no_pair_is_mined_are_reported() {
        let detector = || detector_of(&["loss.name=multi-similarity"]);
        assert_eq!(
            detector().add(&similar(0, 0.99, 50)),
            Some(Collapse::NothingMined)
        );
        // They are still parted; the loss is learned; too short.
        assert_eq!(detector().add(&similar(1, 0.99, 1000)), None);
        assert_eq!(detector().add(&similar(0, 0.6, 1000)), None);
        assert_eq!(detector().add(&similar(0, 0.99, 49)), None);
        // All differ by less than the miner asks for.
        let mut strict = detector_of(&["loss.name=multi-similarity", "loss.epsilon=-0.2"]);
        assert_eq!(
            strict.add(&similar(0, 0.85, 50)),
            Some(Collapse::NothingMined)
        );
        let mut euclidean = detector_of(&["loss.name=multi-similarity", "model.normalize=false"]);
        assert_eq!(euclidean.add(&similar(0, 0.99, 1000)), None);
    }

    #[test]
    fn other_losses_are_not_watched() {
        let mut detector = detector_of(&["loss.name=lifted-structure"]);
        assert_eq!(detector.add(&epoch(0.0, 1e-3, 1000)), None);
    }
}
