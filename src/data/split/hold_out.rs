//! Holding classes of the training split out for validation.
//!
//! Either a share of the classes is drawn, or the classes are dealt to folds, as in class-disjoint
//! cross-validation (Musgrave et al., "A Metric Learning Reality Check", ECCV 2020). Both depend only on
//! the number of classes with two or more images and `data.split_seed`. A class with one image has no
//! positive pair, so it always trains.

use rand::seq::SliceRandom;

use super::error::SplitError;
use super::{FEWEST_CLASSES, Split};
use crate::data::config::HoldOutConfig;
use crate::data::random::{Purpose, stream};

/// What training needs of the classes that are not held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldOut {
    /// Classes of a batch (`batch.classes`). As many must remain for training.
    pub batch_classes: usize,
}

/// The classes of a training split, divided into those that train and those that validate. Both lists are
/// in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct ClassDivision {
    pub(in crate::data) train: Vec<usize>,
    pub(in crate::data) validation: Vec<usize>,
}

impl HoldOut {
    /// Divides classes with these numbers of images.
    ///
    /// # Errors
    /// If fewer than two classes would validate or train, or fewer would train than a batch needs.
    pub(in crate::data) fn divide(
        self,
        class_sizes: &[usize],
        config: &HoldOutConfig,
    ) -> Result<ClassDivision, SplitError> {
        let classes = class_sizes.len();
        let mut eligible: Vec<usize> = (0..classes)
            .filter(|&class| class_sizes[class] > 1)
            .collect();
        let eligible_count = eligible.len();
        eligible.shuffle(&mut stream(Purpose::HoldOut, config.seed(), 0, 0));
        let (choice, drawn): (String, Vec<usize>) = match (config.folds, config.fold) {
            (Some(folds), Some(fold)) => {
                let first = fold.saturating_sub(1);
                let drawn = eligible.into_iter().skip(first).step_by(folds.max(1));
                (format!("data.folds = {folds}"), drawn.collect())
            }
            _ => {
                let share = config
                    .validation_share
                    .unwrap_or(HoldOutConfig::DEFAULT_SHARE);
                let count = (share * eligible_count as f64).round() as usize;
                let drawn = eligible.into_iter().take(count.max(FEWEST_CLASSES));
                (format!("data.validation_share = {share}"), drawn.collect())
            }
        };
        let mut is_held_out = vec![false; classes];
        for &class in &drawn {
            is_held_out[class] = true;
        }
        let (validation, train): (Vec<usize>, Vec<usize>) =
            (0..classes).partition(|&class| is_held_out[class]);
        if validation.len() < FEWEST_CLASSES || train.len() < FEWEST_CLASSES {
            return Err(SplitError::TooFewToHoldOut {
                classes,
                eligible: eligible_count,
                choice,
                validation: validation.len(),
                train: train.len(),
            });
        }
        if train.len() < self.batch_classes {
            return Err(SplitError::TooFewForBatch {
                batch_classes: self.batch_classes,
                classes,
                choice,
                validation: validation.len(),
                train: train.len(),
            });
        }
        Ok(ClassDivision { train, validation })
    }
}

impl ClassDivision {
    /// Returns the parts of `split` that train and validate. Images that were left out of `split` are
    /// reported with the training part.
    pub(in crate::data) fn apply(&self, split: &Split) -> (Split, Split) {
        let train = split
            .subset(split.name(), &self.train)
            .with_skipped(split.skipped().to_vec());
        (train, split.subset("validation", &self.validation))
    }
}

#[cfg(test)]
mod tests;
