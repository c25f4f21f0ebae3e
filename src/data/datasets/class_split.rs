//! Dividing classes into training and test classes, for datasets without a split.

use std::collections::HashSet;

use rand::seq::SliceRandom;

use super::error::DatasetError;
use crate::data::random::{Purpose, stream};
use crate::data::split::SplitError;
use crate::setting::SettingError;

/// Fewest classes of a split, since images of different classes are compared.
const FEWEST: usize = 2;
/// Bounds the rounding error of a product such as 0.29 · 100.
const ROUNDING: f64 = 1e-9;

/// Divides the classes of `what` into training and test classes, both in their original order.
///
/// The first ⌊`share` · n⌋ classes are the training classes. With a seed, as many are drawn at random.
///
/// # Errors
/// [`SplitError::TooFewClasses`] if either part has fewer than two classes; [`DatasetError::Setting`] if
/// `share` is not between 0 and 1.
pub(super) fn divide<T>(
    classes: Vec<T>,
    what: &str,
    share: f64,
    seed: Option<u64>,
) -> Result<(Vec<T>, Vec<T>), DatasetError> {
    if !(share > 0.0 && share < 1.0) {
        let reason = "it is a share of the classes; give more than 0 and less than 1";
        return Err(SettingError::value("data.train_share", share, reason).into());
    }
    let found = classes.len();
    let count = (share * found as f64 + ROUNDING) as usize;
    if count < FEWEST || found - count < FEWEST {
        return Err(SplitError::TooFewClasses {
            what: what.into(),
            found,
            needed: fewest_classes(share),
        }
        .into());
    }
    let mut order: Vec<usize> = (0..found).collect();
    if let Some(seed) = seed {
        order.shuffle(&mut stream(Purpose::ClassSplit, seed, 0, 0));
    }
    let training: HashSet<usize> = order.into_iter().take(count).collect();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (index, class) in classes.into_iter().enumerate() {
        match training.contains(&index) {
            true => train.push(class),
            false => test.push(class),
        }
    }
    Ok((train, test))
}

/// Returns the fewest classes that leave two in both parts: ⌊s·n⌋ ≥ 2 from n = 2/s on, and
/// n − ⌊s·n⌋ ≥ 2 once n · (1 − s) exceeds 1.
fn fewest_classes(share: f64) -> usize {
    let train = (FEWEST as f64 / share - ROUNDING).ceil();
    let test = (1.0 / (1.0 - share) + ROUNDING).floor() + 1.0;
    train.max(test).max((2 * FEWEST) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(count: usize, share: f64, seed: Option<u64>) -> (Vec<usize>, Vec<usize>) {
        divide((0..count).collect(), "it", share, seed).unwrap()
    }

    #[test]
    fn without_a_seed_the_first_classes_are_training_classes() {
        assert_eq!(divided(5, 0.5, None), (vec![0, 1], vec![2, 3, 4]));
        assert_eq!(divided(100, 0.29, None).0.len(), 29);
    }

    #[test]
    fn a_seed_draws_classes_and_keeps_their_order() {
        let (train, test) = divided(40, 0.5, Some(7));
        assert_eq!((train.len(), test.len()), (20, 20));
        assert!(train.is_sorted() && test.is_sorted());
        assert_ne!(train, (0..20).collect::<Vec<_>>());
        assert_eq!(divided(40, 0.5, Some(7)).0, train);
        assert_ne!(divided(40, 0.5, Some(8)).0, train);
    }

    #[test]
    fn needed_classes_are_the_fewest_that_can_be_divided() {
        for share in [0.01, 0.1, 0.29, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99] {
            let fails = |n: usize| divide((0..n).collect(), "it", share, None).is_err();
            let smallest = (0..).find(|&n| !fails(n)).unwrap();
            let Err(DatasetError::Split(SplitError::TooFewClasses { needed, found, .. })) =
                divide(vec![0; smallest - 1], "it", share, None)
            else {
                panic!("{share} divides {} classes", smallest - 1);
            };
            assert_eq!((needed, found), (smallest, smallest - 1), "{share}");
        }
    }

    #[test]
    fn a_share_of_zero_or_one_is_refused_with_its_key() {
        for share in [0.0, 1.0, f64::NAN] {
            let error = divide(vec![0; 9], "it", share, None).unwrap_err();
            assert!(error.to_string().contains("data.train_share"), "{error}");
        }
    }
}
