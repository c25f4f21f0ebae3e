//! Which classes train where a dataset does not say, and what becomes of classes with one image.

use std::collections::HashSet;

use rand::seq::SliceRandom;

use super::index::{ClassEntries, DatasetIndex, Subset};
use crate::data::DataError;
use crate::data::config::SingleImageClasses;
use crate::data::random::{Purpose, stream};
use crate::evaluation::Role;

/// Fewest classes of a split, since images of different classes are compared.
const FEWEST: usize = 2;
/// What rounding may take from a product such as 0.29 · 100.
const ROUNDING: f64 = 1e-9;

/// Divides the classes of `what` into those that train and those that test, both in their order:
/// the first ⌊`share` · n⌋ train, or as many drawn by `seed`.
///
/// # Errors
/// [`DataError::TooFewClasses`] when either would have fewer than two; [`DataError::Setting`] when
/// `share` is not between 0 and 1.
pub(super) fn divide<T>(
    classes: Vec<T>,
    what: &str,
    share: f64,
    seed: Option<u64>,
) -> Result<(Vec<T>, Vec<T>), DataError> {
    if !(share > 0.0 && share < 1.0) {
        let hint = "it is a share of the classes; choose more than 0 and less than 1";
        return Err(DataError::setting("data.train_share", share, hint));
    }
    let found = classes.len();
    let count = (share * found as f64 + ROUNDING) as usize;
    if count < FEWEST || found - count < FEWEST {
        return Err(DataError::TooFewClasses {
            what: what.into(),
            found,
            needed: needed(share),
        });
    }
    let mut order: Vec<usize> = (0..found).collect();
    if let Some(seed) = seed {
        order.shuffle(&mut stream(Purpose::ClassSplit, seed, 0, 0));
    }
    let trains: HashSet<usize> = order.into_iter().take(count).collect();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (index, class) in classes.into_iter().enumerate() {
        match trains.contains(&index) {
            true => train.push(class),
            false => test.push(class),
        }
    }
    Ok((train, test))
}

/// The fewest classes that give both subsets two: ⌊s·n⌋ ≥ 2 from n = 2/s, and n − ⌊s·n⌋ ≥ 2 once
/// n · (1 − s) exceeds 1.
fn needed(share: f64) -> usize {
    let train = (FEWEST as f64 / share - ROUNDING).ceil();
    let test = (1.0 / (1.0 - share) + ROUNDING).floor() + 1.0;
    train.max(test).max((2 * FEWEST) as f64) as usize
}

/// Does to the classes with one image what the configuration says.
///
/// A test class whose one image is a query or gallery image by the list's own word stays as it is.
pub(in crate::data) fn apply_single_image_policy(
    index: &mut DatasetIndex,
    policy: SingleImageClasses,
) {
    use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
    match policy {
        Refuse => refuse(index),
        Drop => {
            index.train.retain(|class| !is_single(class, Subset::Train));
            index.test.retain(|class| !is_single(class, Subset::Test));
        }
        Gallery | Repeat => {
            if policy == Gallery {
                index.train.retain(|class| !is_single(class, Subset::Train));
            }
            for class in &mut index.test {
                if is_single(class, Subset::Test) {
                    class.images[0].role = Role::Gallery;
                }
            }
        }
    }
}

fn refuse(index: &mut DatasetIndex) {
    for subset in [Subset::Train, Subset::Test] {
        let single = index.subset(subset).iter();
        let single = single.filter(|class| is_single(class, subset));
        let faults: Vec<DataError> = single
            .map(|class| DataError::TooFewImages {
                class: class.name.clone(),
                split: subset.name(),
                found: class.images.len(),
            })
            .collect();
        index.faults.extend(faults);
    }
}

fn is_single(class: &ClassEntries, subset: Subset) -> bool {
    class.images.len() == 1 && (subset == Subset::Train || class.images[0].role == Role::Both)
}

#[cfg(test)]
mod tests {
    use super::super::index::Entry;
    use super::*;

    fn names(count: usize, share: f64, seed: Option<u64>) -> (Vec<usize>, Vec<usize>) {
        divide((0..count).collect(), "it", share, seed).unwrap()
    }

    #[test]
    fn the_first_share_trains_without_a_seed() {
        assert_eq!(names(5, 0.5, None), (vec![0, 1], vec![2, 3, 4]));
        assert_eq!(names(100, 0.29, None).0.len(), 29);
    }

    #[test]
    fn a_seed_draws_classes_that_keep_their_order() {
        let (train, test) = names(40, 0.5, Some(7));
        assert_eq!((train.len(), test.len()), (20, 20));
        assert!(train.is_sorted() && test.is_sorted());
        assert_ne!(train, (0..20).collect::<Vec<_>>());
        assert_eq!(names(40, 0.5, Some(7)).0, train);
        assert_ne!(names(40, 0.5, Some(8)).0, train);
    }

    #[test]
    fn the_number_of_classes_needed_is_the_smallest_that_can_be_divided() {
        for share in [0.01, 0.1, 0.29, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99] {
            let fails = |n: usize| divide((0..n).collect(), "it", share, None).is_err();
            let smallest = (0..).find(|&n| !fails(n)).unwrap();
            let Err(DataError::TooFewClasses { needed, found, .. }) =
                divide(vec![0; smallest - 1], "it", share, None)
            else {
                panic!("{share} divides {} classes", smallest - 1);
            };
            assert_eq!((needed, found), (smallest, smallest - 1), "{share}");
        }
    }

    #[test]
    fn a_share_of_all_or_nothing_names_the_key() {
        for share in [0.0, 1.0, f64::NAN] {
            let error = divide(vec![0; 9], "it", share, None).unwrap_err();
            assert!(error.to_string().contains("data.train_share"), "{error}");
        }
    }

    fn class(name: &str, roles: &[Role]) -> ClassEntries {
        let image = |(index, role): (usize, &Role)| Entry {
            name: format!("{name}/{index}.png"),
            path: format!("{name}/{index}.png").into(),
            line: None,
            role: *role,
        };
        ClassEntries {
            name: name.into(),
            images: roles.iter().enumerate().map(image).collect(),
        }
    }

    fn treated(policy: SingleImageClasses) -> DatasetIndex {
        let mut index = DatasetIndex {
            train: vec![class("a", &[Role::Both; 2]), class("b", &[Role::Query])],
            test: vec![
                class("c", &[Role::Both; 2]),
                class("d", &[Role::Both]),
                class("e", &[Role::Query]),
            ],
            faults: Vec::new(),
            published: None,
        };
        apply_single_image_policy(&mut index, policy);
        index
    }

    fn classes(subset: &[ClassEntries]) -> String {
        subset.iter().map(|class| class.name.as_str()).collect()
    }

    #[test]
    fn single_images_are_refused_dropped_kept_to_be_found_or_repeated() {
        use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
        for (policy, train, test, faults) in [
            (Refuse, "ab", "cde", 2),
            (Drop, "a", "ce", 0),
            (Gallery, "a", "cde", 0),
            (Repeat, "ab", "cde", 0),
        ] {
            let index = treated(policy);
            let found = (classes(&index.train), classes(&index.test));
            assert_eq!(found, (train.into(), test.into()), "{policy:?}");
            assert_eq!(index.faults.len(), faults, "{policy:?}");
        }
        assert_eq!(treated(Repeat).test[1].images[0].role, Role::Gallery);
        assert_eq!(treated(Gallery).test[2].images[0].role, Role::Query);
        let fault = treated(Refuse).faults[0].to_string();
        assert!(fault.starts_with("class b of the train split has 1 image(s)"));
    }
}
