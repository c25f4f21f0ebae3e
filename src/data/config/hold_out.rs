//! Which training classes are held out for validation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{Checked, SettingError, at_least, at_most, proper_share};

/// Keys of `[data]` that say which training classes are held out for validation: a share of them, or one
/// of several folds. They are unused with `evaluation.protocol = "published"`. If a manifest names validation
/// images, giving `folds` or another share than the default is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldOutConfig {
    /// Share of the training classes that validate, above 0 and below 1. At least two do. With `folds`
    /// and `fold` it is absent.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
    /// Seed that draws the validation classes; if absent, 0. For a `folder` or a `manifest` without a
    /// split it also draws the training classes; if absent, these are the first classes by name.
    #[schemars(range(max = i64::MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Number of groups of the training classes for class-disjoint cross-validation, at least 2, instead of
    /// `validation_share`. Requires `fold`.
    #[schemars(range(min = 2, max = 65_536))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// The group that validates, 1 to `folds`.
    #[schemars(range(min = 1, max = 65_536))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
}

/// The keys of which a file or override that sets one replaces those of the other list.
pub(crate) const SHARE_KEYS: [&str; 1] = ["data.validation_share"];
/// See [`SHARE_KEYS`].
pub(crate) const FOLD_KEYS: [&str; 2] = ["data.folds", "data.fold"];

impl HoldOutConfig {
    /// The default of `validation_share`.
    pub const DEFAULT_SHARE: f64 = 0.2;

    /// Sets `validation_share` to its default, unless it is given or folds are.
    pub(super) fn fill_default(&mut self) {
        if self.folds.is_none() && self.fold.is_none() {
            self.validation_share.get_or_insert(Self::DEFAULT_SHARE);
        }
    }

    /// Returns the seed that draws the validation classes.
    pub(in crate::data) fn seed(&self) -> u64 {
        self.split_seed.unwrap_or(0)
    }

    /// Checks every value, alone and against the others.
    ///
    /// # Errors
    /// If a value is out of range, or `folds`, `fold` and `validation_share` contradict each other. The
    /// error names the first.
    pub(super) fn check(&self) -> Checked {
        if let Some(share) = self.validation_share {
            proper_share("data.validation_share", share)?;
        }
        match (self.folds, self.fold) {
            (None, None) => Ok(()),
            (Some(folds), None) => Err(SettingError::value(
                "data.folds",
                folds as i64,
                format!("requires data.fold, the fold that validates; set it from 1 to {folds}"),
            )),
            (None, Some(fold)) => Err(SettingError::value(
                "data.fold",
                fold as i64,
                "requires data.folds, the number of folds; set it, for example to 4",
            )),
            (Some(folds), Some(fold)) => self.check_folds(folds, fold),
        }
    }

    /// Checks that no key holds training classes out, since a list names the validation classes. The default share
    /// counts as not given, and has no effect.
    ///
    /// # Errors
    /// The first key that does.
    pub(in crate::data) fn check_unused(&self) -> Checked {
        let reason = "the list has rows of the split validation, and their classes choose the best epoch, so no \
                      training classes are held out; remove this key, or write train in these rows";
        if let Some(folds) = self.folds {
            return Err(SettingError::value("data.folds", folds as i64, reason));
        }
        match self.validation_share {
            Some(share) if share != Self::DEFAULT_SHARE => {
                Err(SettingError::value("data.validation_share", share, reason))
            }
            _ => Ok(()),
        }
    }

    fn check_folds(&self, folds: usize, fold: usize) -> Checked {
        at_least("data.folds", folds, 2)?;
        at_most("data.folds", folds, 65_536)?;
        at_least("data.fold", fold, 1)?;
        at_most("data.fold", fold, folds)?;
        match self.validation_share {
            None => Ok(()),
            Some(share) => Err(SettingError::value(
                "data.validation_share",
                share,
                "contradicts data.folds, which also chooses the validation classes; remove this key, or \
                 data.folds and data.fold",
            )),
        }
    }
}

impl Default for HoldOutConfig {
    fn default() -> Self {
        Self {
            validation_share: Some(Self::DEFAULT_SHARE),
            split_seed: None,
            folds: None,
            fold: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folds(folds: Option<usize>, fold: Option<usize>, share: Option<f64>) -> HoldOutConfig {
        HoldOutConfig {
            validation_share: share,
            split_seed: None,
            folds,
            fold,
        }
    }

    #[test]
    fn folds_need_a_fold_and_exclude_a_share() {
        folds(Some(4), Some(4), None).check().unwrap();
        for (keys, message) in [
            (
                folds(Some(4), None, None),
                "`data.folds = 4`: requires data.fold, the fold that validates; set it from 1 to 4",
            ),
            (
                folds(None, Some(2), None),
                "`data.fold = 2`: requires data.folds, the number of folds; set it, for example to 4",
            ),
            (
                folds(Some(4), Some(5), None),
                "`data.fold = 5`: give 4 or less",
            ),
            (
                folds(Some(4), Some(0), None),
                "`data.fold = 0`: give 1 or more",
            ),
            (
                folds(Some(1), Some(1), None),
                "`data.folds = 1`: give 2 or more",
            ),
            (
                folds(Some(4), Some(1), Some(0.2)),
                "`data.validation_share = 0.2`: contradicts data.folds, which also chooses the \
                 validation classes; remove this key, or data.folds and data.fold",
            ),
        ] {
            assert_eq!(keys.check().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn keys_that_hold_classes_out_contradict_a_listed_validation_split() {
        HoldOutConfig::default().check_unused().unwrap();
        folds(None, None, None).check_unused().unwrap();
        for (keys, key) in [
            (
                folds(None, None, Some(0.3)),
                "`data.validation_share = 0.3`: ",
            ),
            (folds(Some(4), Some(1), None), "`data.folds = 4`: "),
        ] {
            let message = keys.check_unused().unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        }
    }

    #[test]
    fn share_is_between_zero_and_one() {
        for share in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            let message = folds(None, None, Some(share)).check().unwrap_err();
            assert!(
                message.to_string().starts_with("`data.validation_share"),
                "{message}"
            );
        }
        folds(None, None, Some(0.99)).check().unwrap();
    }

    #[test]
    fn default_share_is_filled_unless_folds_are_given() {
        let mut keys = folds(None, None, None);
        keys.fill_default();
        assert_eq!(keys, HoldOutConfig::default());
        let mut keys = folds(Some(4), Some(1), None);
        keys.fill_default();
        assert_eq!(keys.validation_share, None);
    }
}
