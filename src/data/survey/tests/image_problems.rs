//! Problems of images that `check` reports: missing, broken, copied, of an unusual size.

use super::*;
use crate::data::bounding_box::BoundingBox;
use crate::data::datasets::{Published, PublishedSubset};

#[test]
fn a_missing_image_is_located() {
    let mut tree = Tree::valid();
    let path = tree.list(Subset::Train, "a", Role::Both);
    let list = tree.folder.path().join("list.txt");
    let problem = tree.problem();
    assert_eq!(
        (problem.severity, problem.kind()),
        (Severity::Error, "missing")
    );
    assert_eq!(problem.file(), Some(path.as_path()));
    assert_eq!(problem.line(), Some((list.as_path(), 9)));
    assert_eq!(problem.class.as_deref(), Some("a"));
    let json = serde_json::to_value(&problem).unwrap();
    assert_eq!(json["line"], 9);
    assert_eq!(json["kind"], "missing");
    assert_eq!(json["severity"], "error");
    assert!(json["file"].as_str().unwrap().ends_with("9.png"));
    assert!(
        json["message"]
            .as_str()
            .unwrap()
            .contains("list.txt, line 9")
    );
}
#[test]
fn files_that_cannot_be_decoded_are_distinguished() {
    let whole = png(40, 30, 250);
    let mut damaged = whole.clone();
    let middle = damaged.len() - 25;
    damaged[middle] ^= 0xff;
    for (bytes, kind) in [
        (&whole[..whole.len() / 2], "truncated"),
        (&[], "truncated"),
        (&damaged, "broken"),
        (b"<html>not found</html>", "unsupported"),
    ] {
        let mut tree = Tree::valid();
        tree.add(Subset::Test, "d", bytes);
        let problem = tree.problem();
        assert_eq!((problem.severity, problem.kind()), (Severity::Error, kind));
    }
}
#[test]
fn implausible_sizes_are_errors() {
    for bytes in [png_stating(60_000, 60_000), png(16_400, 17, 3)] {
        let mut tree = Tree::valid();
        tree.add(Subset::Train, "b", &bytes);
        let problem = tree.problem();
        assert_eq!(
            (problem.severity, problem.kind()),
            (Severity::Error, "absurd-size")
        );
    }
}
#[test]
fn tiny_and_narrow_images_are_warnings() {
    for (width, height) in [(12, 12), (16, 330)] {
        let mut tree = Tree::valid();
        tree.add(Subset::Train, "b", &png(width, height, 255));
        let problem = tree.problem();
        assert_eq!(
            (problem.severity, problem.kind()),
            (Severity::Warning, "absurd-size")
        );
        let message = problem.error.to_string();
        assert!(
            message.contains(&format!("{width} x {height}")),
            "{message}"
        );
    }
}
#[test]
fn a_copy_across_the_splits_of_a_published_dataset_is_a_warning() {
    let copied = png(50, 50, 1);
    let mut tree = Tree::valid();
    tree.add(Subset::Train, "b", &copied);
    tree.add(Subset::Test, "d", &copied);
    let subset = PublishedSubset {
        images: 5,
        classes: 2,
        digest: None,
    };
    tree.index.published = Some(Published {
        train: subset,
        test: subset,
    });
    let problem = tree.problem();
    assert_eq!(problem.kind(), "duplicate");
    assert_eq!(problem.severity, Severity::Warning);
}
#[test]
fn severity_of_a_copy_is_that_of_its_worst_relation() {
    let copied = png(50, 50, 1);
    let expected = |original, copy: (Subset, &str)| {
        let mut tree = Tree::valid();
        let (subset, class) = original;
        tree.add(subset, class, &copied);
        tree.add(copy.0, copy.1, &copied);
        let problem = tree.problem();
        assert_eq!(problem.kind(), "duplicate");
        assert_eq!(problem.line().unwrap().1, 10);
        (problem.severity, problem.error.to_string())
    };
    let (severity, message) = expected((Subset::Train, "a"), (Subset::Train, "a"));
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("of the same class"), "{message}");
    let (severity, message) = expected((Subset::Test, "c"), (Subset::Test, "d"));
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("labels must be wrong"), "{message}");
    let (severity, message) = expected((Subset::Train, "b"), (Subset::Test, "d"));
    assert_eq!(severity, Severity::Error);
    assert!(message.contains("was trained on"), "{message}");
    assert!(
        message.contains("9.png"),
        "the original is named: {message}"
    );
}
#[test]
fn copies_of_validation_images_are_errors_in_both_directions() {
    let copied = png(50, 50, 1);
    for (original, copy, expected) in [
        (
            (Subset::Train, "a"),
            (Subset::Validation, "v"),
            "of the training split, so a validation image was trained on",
        ),
        (
            (Subset::Validation, "v"),
            (Subset::Test, "c"),
            "of the validation split, so a test image chooses the best epoch",
        ),
    ] {
        let mut tree = Tree::valid();
        for class in ["v", "v", "w", "w"] {
            let shade = (16 * tree.lines) as u8;
            tree.add(Subset::Validation, class, &png(40, 30, shade));
        }
        tree.add(original.0, original.1, &copied);
        tree.add(copy.0, copy.1, &copied);
        let problem = tree.problem();
        assert_eq!(
            (problem.severity, problem.kind()),
            (Severity::Error, "duplicate")
        );
        let message = problem.error.to_string();
        assert!(message.contains(expected), "{message}");
    }
}
#[test]
fn other_parts_of_a_copy_are_other_images_and_boxes_must_be_inside() {
    let copied = png(50, 50, 1);
    let with_boxes = |boxes: [Option<[f64; 4]>; 2]| {
        let mut tree = Tree::valid();
        for edges in boxes {
            tree.add(Subset::Train, "a", &copied);
            let image = tree.index.train[0].images.pop().unwrap();
            let bounding_box = edges.map(|edges| BoundingBox::new(edges).unwrap());
            let part = image.with_bounding_box(bounding_box);
            tree.index.train[0].images.push(part);
        }
        let (_folder, survey) = tree.survey();
        survey.check(Monitor::none()).problems
    };
    let (left, right) = (Some([0.0, 0.0, 20.0, 50.0]), Some([20.0, 0.0, 50.0, 50.0]));
    assert_eq!(with_boxes([left, right]), []);
    assert_eq!(with_boxes([None, right]), []);
    assert_eq!(names(&with_boxes([left, left])), [("warning", "duplicate")]);
    let outside = Some([20.0, 0.0, 51.0, 50.0]);
    let problems = with_boxes([left, outside]);
    assert_eq!(names(&problems), [("error", "box-outside")]);
    let (list, line) = problems[0].line().unwrap();
    assert!(list.ends_with("list.txt") && line == 10);
    let narrow = Some([20.0, 0.0, 22.0, 50.0]);
    let problems = with_boxes([left, narrow]);
    assert_eq!(names(&problems), [("warning", "absurd-size")]);
    let message = problems[0].error.to_string();
    assert!(
        message.contains("has 2 x 50 pixels; this is its bounding box"),
        "{message}"
    );
}
#[test]
fn every_copy_is_reported_except_the_first() {
    let mut tree = Tree::valid();
    for class in ["a", "a", "b", "a", "b"] {
        tree.add(Subset::Train, class, &png(50, 50, 1));
    }
    let (_folder, survey) = tree.survey();
    let problems = survey.check(Monitor::none()).problems;
    let relations: Vec<bool> = problems
        .iter()
        .map(|problem| problem.error.to_string().contains("of another class"))
        .collect();
    // The copies are ordered by class: those in a, then those in b.
    assert_eq!(relations, [false, false, true, true]);
}
