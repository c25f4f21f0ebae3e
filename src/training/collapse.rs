//! Whether the embeddings have collapsed to a point.

use super::epoch_statistics::EpochStatistics;
use crate::config::Config;
use crate::loss::LossKind;
use crate::negatives::Space;

/// Distances below this are those of a collapsed batch: on the unit sphere, the mean distance of
/// independent points is about 1.4.
const COLLAPSED: f64 = 0.01;

/// The number of consecutive steps after which a collapse is reported. Training often recovers from a
/// shorter one.
const STEPS: usize = 50;

/// Notices that the hardest positives and the hardest negatives of an anchor are equally near, at
/// distance 0. The loss is then the margin.
#[derive(Debug)]
pub(super) struct CollapseDetector {
    enabled: bool,
    margin: f64,
    /// Consecutive collapsed steps.
    steps: usize,
    reported: bool,
}

impl CollapseDetector {
    /// The detector for a configuration.
    pub(super) fn new(config: &Config) -> Self {
        let margin = match &config.loss.kind {
            LossKind::HphnTriplet(loss) => Some(loss.margin),
            LossKind::Triplet(loss) => Some(loss.margin),
            _ => None,
        };
        Self {
            enabled: config.model.space() == Space::Sphere && margin.is_some(),
            margin: margin.unwrap_or_default(),
            steps: 0,
            reported: false,
        }
    }

    /// Adds the statistics of an epoch. Returns whether a collapse is to be reported, once in a training.
    pub(super) fn add(&mut self, epoch: &EpochStatistics) -> bool {
        let means = epoch.means();
        let below = |key: &str| means.get(key).is_some_and(|&distance| distance < COLLAPSED);
        let at_margin = means
            .get("loss")
            .is_some_and(|loss| (loss - self.margin).abs() <= COLLAPSED);
        let collapsed = below("d_positive") && below("d_negative") && at_margin;
        self.steps = match collapsed {
            true => self.steps + epoch.steps(),
            false => 0,
        };
        let report = self.enabled && self.steps >= STEPS && !self.reported;
        self.reported |= report;
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Measure;
    use crate::loss::LossStatistics;
    use crate::training::step_statistics::StepStatistics;

    fn epoch(loss: f64, distance: f64, steps: usize) -> EpochStatistics {
        let step = StepStatistics {
            loss: LossStatistics {
                sum: 4.0 * loss,
                mean: loss,
                anchors: 4,
                active: 4,
                mined: 8,
                mean_positive: distance,
                mean_negative: distance,
            },
            finite_embeddings: true,
        };
        let mut epoch = EpochStatistics::default();
        for _ in 0..steps {
            epoch.add(&step, Measure::Distance);
        }
        epoch
    }

    fn detector() -> CollapseDetector {
        let sets = ["loss.name=hphn-triplet".into(), "loss.margin=0.2".into()];
        CollapseDetector::new(&Config::parse("", "test", &sets).unwrap())
    }

    #[test]
    fn lasting_collapse_is_reported_once() {
        let mut detector = detector();
        assert!(!detector.add(&epoch(0.2, 1e-3, 30)));
        assert!(detector.add(&epoch(0.2, 1e-3, 30)));
        assert!(!detector.add(&epoch(0.2, 1e-3, 30)));
    }

    #[test]
    fn recovery_and_ordinary_distances_are_not_reported() {
        let mut detector = detector();
        assert!(!detector.add(&epoch(0.2, 1e-3, 49)));
        assert!(!detector.add(&epoch(0.19, 0.3, 1)));
        assert!(!detector.add(&epoch(0.2, 1e-3, 49)));
        assert!(!detector.add(&epoch(0.0, 1.0, 1000)));
    }

    #[test]
    fn losses_without_a_margin_on_distances_are_not_watched() {
        let set = "loss.name=multi-similarity".to_string();
        let mut detector = CollapseDetector::new(&Config::parse("", "test", &[set]).unwrap());
        assert!(!detector.add(&epoch(0.0, 1e-3, 1000)));
    }
}
