//! The problems that `check` reports.

use super::*;
use crate::cancellation::CancellationToken;
use crate::data::HoldOut;
use crate::data::config::{FolderConfig, SingleImageClasses};
use crate::data::datasets::{ListError, Published, PublishedSubset};
use crate::data::split::SplitError;
use crate::progress::test_observer::RecordingObserver;

#[test]
fn a_valid_dataset_has_no_problems() {
    let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
    let (_folder, survey) = Tree::valid().survey();
    let report = survey.check(Monitor::new(&token, &observer));
    assert_eq!(report.problems, []);
    assert!(report.ok && report.opened && !report.interrupted);
    assert_eq!(report.checked, 8);
    assert_eq!((report.train.images, report.train.classes), (4, 2));
    assert_eq!(report.train.images_per_class, Some([2, 2]));
    assert_eq!((report.test.queries, report.test.gallery), (4, 4));
    assert_eq!(observer.task("decoding"), Some((8, Some(8), true)));
    assert!(
        report
            .to_string()
            .ends_with("no errors: ready for training\n")
    );
}

#[test]
fn a_problem_of_the_reader_is_reported_once() {
    let mut tree = Tree::valid();
    let path = tree.list(Subset::Test, "c", Role::Both);
    let image = tree.index.test[0].images.last().unwrap();
    let error = image.locate(ListError::ImageMissing { path, near: None });
    tree.index.errors.push(error);
    let path = "stray.png".into();
    tree.index.errors.push(ListError::Unlisted { path }.into());
    let report = tree.check();
    assert_eq!(
        names(&report.problems),
        [("error", "missing"), ("warning", "unlisted")]
    );
    assert_eq!((report.errors, report.warnings), (1, 1));
}

#[test]
fn warnings_of_the_reader_and_contradictions_of_listed_validation_classes_are_problems() {
    let mut tree = Tree::valid();
    tree.index.warnings = vec![
        ListError::Row {
            reason: "odd".into(),
        }
        .into(),
    ];
    for class in ["v", "v", "w", "w"] {
        let shade = (16 * tree.lines) as u8;
        tree.add(Subset::Validation, class, &png(40, 30, shade));
    }
    let (_folder, mut survey) = tree.survey();
    survey.hold_out = Some(HoldOut { batch_classes: 2 });
    let report = survey.check(Monitor::none());
    assert_eq!(names(&report.problems), [("warning", "list-line")]);
    assert_eq!(report.hold_out, None);
    survey.config.hold_out.validation_share = Some(0.4);
    let report = survey.check(Monitor::none());
    assert_eq!(
        names(&report.problems),
        [("error", "setting"), ("warning", "list-line")]
    );
    let message = report.problems[0].error.to_string();
    assert!(
        message.starts_with("`data.validation_share = 0.4`: the list has rows"),
        "{message}"
    );
}

#[test]
fn a_class_of_both_splits_is_an_error() {
    let mut tree = Tree::valid();
    for shade in [200, 201] {
        tree.add(Subset::Test, "a", &png(30, 30, shade));
    }
    let problem = tree.problem();
    assert_eq!(
        (problem.severity, problem.kind()),
        (Severity::Error, "class-in-both-splits")
    );
    assert_eq!(problem.class.as_deref(), Some("a"));
}

#[test]
fn a_class_of_one_image_follows_the_configuration_or_the_list() {
    use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
    let refused = Some(("error", "too-few-images"));
    let kept = Some(("warning", "single-image-class"));
    for (policy, subset, role, expected) in [
        (Refuse, Subset::Train, Role::Both, refused),
        (Refuse, Subset::Test, Role::Both, refused),
        (Repeat, Subset::Train, Role::Both, kept),
        (Drop, Subset::Train, Role::Both, kept),
        (Repeat, Subset::Test, Role::Both, kept),
        (Gallery, Subset::Test, Role::Both, kept),
        (Gallery, Subset::Test, Role::Gallery, None),
        (Refuse, Subset::Test, Role::Gallery, None),
        (
            Refuse,
            Subset::Test,
            Role::Query,
            Some(("warning", "query-without-gallery")),
        ),
    ] {
        let mut tree = Tree::valid();
        fs::write(tree.list(subset, "lonely", role), png(30, 30, 99)).unwrap();
        let folder = FolderConfig {
            single_image_classes: policy,
            ..FolderConfig::default()
        };
        let (_folder, survey) = tree.survey_as(DatasetConfig::Folder(folder));
        let problems = survey.check(Monitor::none()).problems;
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(names(&problems), expected, "{policy:?} {subset:?} {role:?}");
    }
}

#[test]
fn too_few_classes_are_an_error() {
    let mut tree = Tree::valid();
    tree.index.test.pop();
    assert_eq!(tree.problem().kind(), "too-few-classes");
}

#[test]
fn queries_without_gallery_are_warnings_and_an_error_if_all_are() {
    let mut tree = Tree::valid();
    for shade in [150, 151] {
        let path = tree.list(Subset::Test, "e", Role::Query);
        fs::write(path, png(30, 30, shade)).unwrap();
    }
    let set_roles = |tree: &mut Tree, role| {
        let classes = tree.index.test.iter_mut();
        classes
            .flat_map(|class| &mut class.images)
            .for_each(|image| image.role = role);
    };
    let mut other = Tree::valid();
    let report = tree.check();
    let expected = ("warning", "query-without-gallery");
    assert_eq!(names(&report.problems), [expected; 2]);
    assert_eq!((report.test.queries, report.test.gallery), (6, 4));

    set_roles(&mut other, Role::Query);
    let report = other.check();
    assert_eq!(names(&report.problems)[0], ("error", "no-query"));
    assert_eq!(names(&report.problems)[1..], [expected; 4]);
}

#[test]
fn a_published_split_with_other_counts_is_an_error() {
    let subset = PublishedSubset {
        images: 4,
        classes: 2,
        digest: None,
    };
    let mut tree = Tree::valid();
    tree.index.published = Some(Published {
        train: subset,
        test: subset,
    });
    let report = tree.check();
    assert_eq!(report.published, Some(Agreement::Counts));
    assert_eq!(report.problems, []);

    let mut tree = Tree::valid();
    let train = PublishedSubset {
        classes: 100,
        images: 5864,
        digest: None,
    };
    tree.index.published = Some(Published {
        train,
        test: subset,
    });
    let report = tree.check();
    assert_eq!(report.published, Some(Agreement::Differs));
    assert_eq!(names(&report.problems)[0], ("error", "not-published"));
    assert_eq!(
        serde_json::to_value(&report).unwrap()["published"],
        "differs"
    );
}

#[test]
fn images_are_checked_although_they_cannot_be_divided_into_splits() {
    let mut tree = Tree::valid();
    let classes = std::mem::take(&mut tree.index.test);
    tree.index.train.truncate(1);
    tree.index.train.extend(classes.into_iter().take(1));
    tree.add(Subset::Train, "a", b"no image");
    tree.index.errors.push(
        SplitError::TooFewClasses {
            what: "photos".into(),
            found: 2,
            needed: 4,
        }
        .into(),
    );
    let (_folder, survey) = tree.survey();
    survey.check_splits().unwrap_err();
    let hold_out = Some(HoldOut { batch_classes: 2 });
    let report = survey.with_hold_out(hold_out).check(Monitor::none());
    let expected = [("error", "too-few-classes"), ("error", "unsupported")];
    assert_eq!(names(&report.problems), expected);
}

#[test]
fn classes_of_nearly_the_same_name_are_a_warning() {
    let mut tree = Tree::valid();
    for shade in [200, 201] {
        tree.add(Subset::Test, "A", &png(30, 30, shade));
    }
    let problem = tree.problem();
    assert_eq!(
        (problem.severity, problem.kind()),
        (Severity::Warning, "similar-classes")
    );
}
