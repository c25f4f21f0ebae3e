//! Which classes are held out, and what their images are.

use std::sync::Arc;

use burn_dataset::Dataset;
use image::{Rgb, RgbImage};

use super::*;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::evaluation::Role;

const TWO: HoldOut = HoldOut { batch_classes: 2 };

fn share(share: f64, seed: u64) -> HoldOutConfig {
    HoldOutConfig {
        validation_share: Some(share),
        split_seed: Some(seed),
        ..HoldOutConfig::default()
    }
}

fn fold(folds: usize, fold: usize, seed: u64) -> HoldOutConfig {
    HoldOutConfig {
        validation_share: None,
        split_seed: Some(seed),
        folds: Some(folds),
        fold: Some(fold),
    }
}

/// Divides `classes` classes of five images.
fn divided(classes: usize, keys: &HoldOutConfig) -> ClassDivision {
    TWO.divide(&vec![5; classes], keys).unwrap()
}

fn refused(sizes: &[usize], batch_classes: usize, keys: &HoldOutConfig) -> String {
    HoldOut { batch_classes }
        .divide(sizes, keys)
        .unwrap_err()
        .to_string()
}

/// Checks that both parts are ascending and together all classes.
fn assert_partition(division: &ClassDivision, classes: usize) {
    let ClassDivision { train, validation } = division;
    assert!(train.is_sorted() && validation.is_sorted());
    let mut all = [train.as_slice(), validation].concat();
    all.sort_unstable();
    assert_eq!(all, (0..classes).collect::<Vec<_>>());
}

#[test]
fn a_share_of_the_classes_is_drawn_by_the_seed() {
    let division = divided(40, &share(0.2, 7));
    assert_partition(&division, 40);
    assert_eq!(division.validation.len(), 8);
    assert_ne!(division.validation, (0..8).collect::<Vec<_>>());
    assert_eq!(divided(40, &share(0.2, 7)), division);
    assert_ne!(divided(40, &share(0.2, 8)), division);
}

#[test]
fn absent_seed_is_seed_zero() {
    let absent = HoldOutConfig {
        split_seed: None,
        ..share(0.2, 5)
    };
    assert_eq!(divided(40, &absent), divided(40, &share(0.2, 0)));
}

#[test]
fn a_larger_share_holds_out_the_same_classes_and_more() {
    let few = divided(40, &share(0.1, 3)).validation;
    let many = divided(40, &share(0.5, 3)).validation;
    assert!(few.iter().all(|class| many.contains(class)));
}

#[test]
fn number_of_validation_classes_is_rounded_and_at_least_two() {
    for (classes, of_them, validation) in [
        (40, 0.2, 8),
        (12, 0.2, 2),
        (13, 0.2, 3),
        (98, 0.2, 20),
        (100, 0.29, 29),
        (10, 0.25, 3),
        (40, 0.001, 2),
        (4, 0.2, 2),
        (10, 0.8, 8),
    ] {
        let division = divided(classes, &share(of_them, 1));
        assert_eq!(division.validation.len(), validation, "{classes} {of_them}");
    }
}

#[test]
fn folds_are_of_nearly_equal_size_and_contain_every_class_once() {
    for (classes, folds) in [(40, 4), (41, 4), (43, 4), (10, 5), (11, 2)] {
        let mut all = Vec::new();
        for number in 1..=folds {
            let division = divided(classes, &fold(folds, number, 9));
            assert_partition(&division, classes);
            let size = division.validation.len();
            assert!(size == classes / folds || size == classes.div_ceil(folds));
            all.extend(division.validation);
        }
        all.sort_unstable();
        assert_eq!(all, (0..classes).collect::<Vec<_>>(), "{folds} folds");
    }
    assert_ne!(
        divided(40, &fold(4, 1, 9)),
        divided(40, &fold(4, 1, 10)),
        "another seed"
    );
}

#[test]
fn classes_with_one_image_always_train() {
    let sizes: Vec<usize> = (0..40).map(|class| 1 + class % 2).collect();
    for seed in 0..20 {
        for keys in [share(0.3, seed), fold(4, 3, seed)] {
            let division = TWO.divide(&sizes, &keys).unwrap();
            assert_partition(&division, 40);
            assert!(division.validation.iter().all(|&class| sizes[class] == 2));
            let count = if keys.folds.is_some() { 5 } else { 6 };
            assert_eq!(division.validation.len(), count, "of 20 eligible classes");
        }
    }
}

#[test]
fn too_few_classes_are_refused_with_counts_and_advice() {
    assert_eq!(
        refused(&[4; 3], 2, &share(0.2, 0)),
        "`data.validation_share = 0.2` leaves 1 of the 3 training classes for training and 2 for \
         validation (3 have the two images that validation needs), and each needs at least 2; add classes, \
         change how many are held out, or train on all of them and choose the best epoch on the test split \
         with evaluation.protocol = \"published\""
    );
    for (sizes, keys, part) in [
        (
            vec![1, 1, 1, 1, 1, 2],
            share(0.2, 0),
            "1 for validation (1 have",
        ),
        (vec![4; 10], share(0.99, 0), "leaves 0 of the 10"),
        (vec![4; 7], fold(5, 3, 0), "`data.folds = 5` leaves 6 of"),
        (vec![4; 7], fold(9, 9, 0), "and 0 for validation"),
        (Vec::new(), share(0.2, 0), "leaves 0 of the 0"),
    ] {
        let message = refused(&sizes, 2, &keys);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_batch_of_more_classes_than_remain_is_refused_with_counts_and_advice() {
    assert_eq!(
        refused(&[4; 40], 33, &share(0.2, 0)),
        "`batch.classes = 33`: `data.validation_share = 0.2` leaves 32 of the 40 training classes for \
         training and 8 for validation, and the classes of a batch are distinct; give 32 or less, hold out \
         fewer classes, or train on all of them and choose the best epoch on the test split with \
         evaluation.protocol = \"published\""
    );
    let exact = HoldOut { batch_classes: 32 };
    exact.divide(&[4; 40], &share(0.2, 0)).unwrap();
}

struct Shades;

impl Images for Shades {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        Ok(RgbImage::from_pixel(1, 1, Rgb([index as u8; 3])))
    }

    fn name(&self, index: usize) -> String {
        format!("shade {index}")
    }
}

/// Seven classes whose images alternate.
fn split() -> Split {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let labels = (0..30).map(|image| (image * 3) % 7).collect();
    Split::new(
        "train",
        names.map(String::from).to_vec(),
        labels,
        Arc::new(Shades),
    )
    .with_skipped(vec!["x.png is broken".into()])
}

#[test]
fn parts_have_the_names_labels_and_images_of_the_split() {
    let whole = split();
    let division = TWO.divide(&whole.class_sizes(), &share(0.4, 2)).unwrap();
    let (train, validation) = division.apply(&whole);
    assert_eq!((train.name(), validation.name()), ("train", "validation"));
    assert_eq!(train.len() + validation.len(), whole.len());
    let mut seen = Vec::new();
    for (part, classes) in [
        (&train, &division.train),
        (&validation, &division.validation),
    ] {
        let names: Vec<&String> = classes
            .iter()
            .map(|&class| &whole.class_names()[class])
            .collect();
        assert_eq!(part.class_names().iter().collect::<Vec<_>>(), names);
        assert!(part.class_sizes().iter().all(|&size| size > 0));
        let mut previous = None;
        for image in 0..part.len() {
            let name = part.image_name(image);
            let original = (0..whole.len())
                .find(|&original| whole.image_name(original) == name)
                .unwrap();
            assert!(Some(original) > previous, "the order does not change");
            previous = Some(original);
            assert_eq!(
                part.class_names()[part.labels()[image]],
                whole.class_names()[whole.labels()[original]]
            );
            assert_eq!(part.image(image).unwrap(), whole.image(original).unwrap());
            seen.push(original);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..whole.len()).collect::<Vec<_>>());
}

#[test]
fn skipped_images_are_reported_once_and_validation_has_no_roles() {
    let whole = split().with_roles(vec![Role::Query; 30]);
    let division = TWO.divide(&whole.class_sizes(), &share(0.4, 2)).unwrap();
    let (train, validation) = division.apply(&whole);
    assert_eq!(train.skipped(), ["x.png is broken"]);
    assert!(validation.skipped().is_empty());
    assert!(train.roles().is_none() && validation.roles().is_none());
}

#[test]
fn a_subset_of_a_subset_has_the_right_images() {
    let whole = split();
    let once = whole.subset("train", &[1, 3, 4, 6]);
    let twice = once.subset("validation", &[0, 2]);
    let direct = whole.subset("validation", &[1, 4]);
    assert_eq!(twice.class_names(), direct.class_names());
    assert_eq!(twice.labels(), direct.labels());
    for image in 0..twice.len() {
        assert_eq!(twice.image_name(image), direct.image_name(image));
    }
}
