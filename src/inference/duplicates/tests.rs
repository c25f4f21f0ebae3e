//! Duplicates and votes of images on a line.

use std::path::Path;

use super::*;
use crate::embedding_file::NamedEmbeddings;

type B = burn_flex::Flex;

/// A split of images at places on a line, each with a class, or an empty text without one.
fn part(split: &str, images: &[(f32, &str)]) -> ImagePart {
    let classes: Vec<String> = images.iter().map(|image| image.1.to_string()).collect();
    let label = |i: usize| match classes[i].is_empty() {
        true => -1,
        false => i as i64,
    };
    let embedded = NamedEmbeddings {
        rows: images.iter().map(|image| image.0).collect(),
        dim: 1,
        labels: (0..images.len()).map(label).collect(),
        paths: (0..images.len()).map(|i| format!("{split}/{i}")).collect(),
        classes,
    };
    ImagePart {
        split: split.into(),
        images: EmbeddedImages::from_images(Path::new(split), embedded),
    }
}

fn report(parts: Vec<ImagePart>, neighbours: usize, threshold: Option<f64>) -> DuplicateReport {
    let options = DuplicateOptions {
        neighbours,
        threshold,
    };
    duplicates::<B>(parts, options, &Default::default(), Monitor::none()).unwrap()
}

#[test]
fn groups_are_sorted_by_their_relation_then_by_distance() {
    let train = part(
        "train",
        &[
            (0.0, "a"),
            (0.1, "a"),
            (0.2, "a"),
            (10.0, "a"),
            (10.05, "b"),
            (20.0, "b"),
            (30.0, ""),
            (30.01, "b"),
        ],
    );
    let test = part("test", &[(20.2, "c"), (40.0, "c")]);
    let report = report(vec![train, test], 3, Some(0.25));
    let groups = report.groups.iter();
    let groups: Vec<_> = groups
        .map(|group| (group.relation, &group.images[..]))
        .collect();
    let expected: [(Relation, &[usize]); 4] = [
        (Relation::AcrossSplits, &[5, 8]),
        (Relation::AcrossClasses, &[3, 4]),
        (Relation::WithinClass, &[6, 7]),
        (Relation::WithinClass, &[0, 1, 2]),
    ];
    assert_eq!(groups, expected);
    assert!((report.groups[3].distance - 0.1).abs() < 1e-6);
    assert_eq!(report.name(8), "test/0");
    assert_eq!(report.split(8), "test");
    assert_eq!(
        report.splits().collect::<Vec<_>>(),
        [("train", 8), ("test", 2)]
    );
    assert_eq!(report.incomplete, 0);
}

#[test]
fn default_threshold_is_a_tenth_of_the_median() {
    // Distances to the nearest: 1, 1, 1, 1, 0.05, 0.05, so the median is 1.
    let images = [0.0, 1.0, 2.0, 3.0, 50.0, 50.05].map(|at| (at, "a"));
    let report = report(vec![part("train", &images)], 2, None);
    assert_eq!(report.median_distance, 1.0);
    assert_eq!(report.threshold, 0.1);
    assert_eq!(report.groups.len(), 1);
    assert_eq!(report.groups[0].images, [4, 5]);
}

#[test]
fn equal_images_are_one_group_and_reported_as_incomplete() {
    let report = report(vec![part("train", &[(7.0, "a"); 20])], 3, None);
    assert_eq!((report.median_distance, report.threshold), (0.0, 0.0));
    assert_eq!(report.incomplete, 20);
    let grouped: usize = report.groups.iter().map(|group| group.images.len()).sum();
    assert_eq!(grouped, 20);
}

#[test]
fn one_image_has_no_duplicates() {
    let report = report(vec![part("train", &[(7.0, "a")])], 3, None);
    assert!(report.groups.is_empty() && report.mislabelled.is_empty());
    assert_eq!((report.threshold, report.incomplete), (0.0, 0));
}

#[test]
fn image_among_those_of_another_class_is_likely_mislabelled() {
    let mut images: Vec<(f32, &str)> = (0..8).map(|i| (i as f32, "cat")).collect();
    images.extend((0..8).map(|i| (100.0 + i as f32, "dog")));
    images.push((3.5, "dog"));
    images.push((104.4, ""));
    let report = report(vec![part("train", &images)], 5, None);
    let [found] = &report.mislabelled[..] else {
        panic!("{:?}", report.mislabelled);
    };
    assert_eq!((found.image, found.votes, found.own_votes), (16, 5, 0));
    assert_eq!(found.margin(), 1.0);
    assert_eq!(report.class(found.suggested_by), Some(Class::Name("cat")));
}

#[test]
fn small_class_has_as_many_voters_as_other_images() {
    // The two cats are each other's nearest. Of five neighbours, four would be dogs.
    let mut images = vec![(0.0, "cat"), (1.0, "cat")];
    images.extend((0..9).map(|i| (3.0 + i as f32, "dog")));
    images.push((50.0, "single"));
    let report = report(vec![part("train", &images)], 5, None);
    assert!(report.mislabelled.is_empty(), "{:?}", report.mislabelled);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let other = |change: fn(&mut ImagePart)| {
        let mut other = part("test", &[(0.0, "a"), (1.0, "a")]);
        change(&mut other);
        let parts = vec![part("train", &[(0.0, "a")]), other];
        let options = DuplicateOptions {
            neighbours: 1,
            threshold: None,
        };
        let refused = duplicates::<B>(parts, options, &Default::default(), Monitor::none());
        refused.unwrap_err().to_string()
    };
    let message = other(|part| part.images.dim = 2);
    assert!(
        message.contains("dimension 1, those of test have 2"),
        "{message}"
    );
}
