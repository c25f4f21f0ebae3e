//! The problems that `check` reports.

use super::*;
use crate::cancellation::{CancellationToken, Cancelled};
use crate::data::HoldOut;
use crate::data::bounding_box::BoundingBox;
use crate::data::config::{FolderConfig, SingleImageClasses};
use crate::data::datasets::{DatasetError, FolderError, ListError, Published, PublishedSubset};
use crate::data::image_cache::{CacheComparison, CacheError, CacheState};
use crate::data::split::SplitError;
use crate::progress::test_observer::RecordingObserver;

fn names(problems: &[Problem]) -> Vec<(&'static str, &'static str)> {
    let name = |problem: &Problem| (problem.severity.name(), problem.kind());
    problems.iter().map(name).collect()
}

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
fn cancellation_ends_every_view() {
    let (_folder, survey) = Tree::valid().survey();
    let token = CancellationToken::new();
    token.cancel();
    let observer = RecordingObserver::default();
    let monitor = Monitor::new(&token, &observer);
    let report = survey.check(monitor);
    assert!(report.interrupted && !report.ok, "{report}");
    assert_eq!((report.checked, report.train.images), (0, 4));
    assert_eq!(survey.stats(monitor).unwrap_err(), Cancelled);
    let layout = SheetLayout {
        classes: 2,
        images: 2,
        seed: 1,
    };
    assert_eq!(
        survey.contact_sheet(layout, monitor).unwrap_err(),
        Cancelled
    );
    assert_eq!(observer.task("decoding"), Some((0, Some(8), false)));
}

#[test]
fn what_was_found_before_a_cancellation_is_reported() {
    let mut tree = Tree::valid();
    tree.add(Subset::Train, "a", b"no image");
    tree.index.errors.push(
        FolderError::UnusedImage {
            path: "stray.png".into(),
        }
        .into(),
    );
    let mut config = DataConfig {
        source: DatasetConfig::Folder(FolderConfig::default()),
        ..DataConfig::default()
    };
    config.loading.workers = 1;
    let survey = DatasetSurvey {
        config,
        contents: Contents::Files(Box::new(tree.index)),
        hold_out: None,
    };
    let token = CancellationToken::new();
    let observer = RecordingObserver::default();
    let outputs = survey.in_parallel_so_far(9, "decoding", Monitor::new(&token, &observer), |i| {
        if i == 3 {
            token.cancel();
        }
        i
    });
    let done: Vec<usize> = outputs.iter().flatten().copied().collect();
    assert_eq!(done, [0, 1, 2, 3]);
    assert_eq!(outputs.len(), 9);

    token.cancel();
    let report = survey.check(Monitor::new(&token, &observer));
    assert_eq!(names(&report.problems), [("warning", "unused-image")]);
    let verdict = "interrupted after 0 of 9 image(s): no errors, 1 warning(s) so far";
    assert_eq!(report.verdict(), verdict);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["interrupted"], &json["ok"]),
        (&true.into(), &false.into())
    );
}

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
fn text_names_twenty_problems_of_a_kind_and_json_all() {
    let mut tree = Tree::valid();
    for _ in 0..25 {
        tree.list(Subset::Train, "a", Role::Both);
    }
    let report = tree.check();
    let text = report.to_string();
    assert_eq!(text.matches("is missing").count(), 20, "{text}");
    assert!(text.contains("error missing: 25"), "{text}");
    assert!(text.contains("… and 5 more; --json lists all"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 25);
    assert_eq!(
        (&json["errors"], &json["test"]["images"]),
        (&25.into(), &4.into())
    );
}

#[test]
fn classes_held_out_are_counted() {
    let mut tree = Tree::valid();
    for (class, images) in [("e", 3), ("f", 4), ("g", 5)] {
        for number in 0..images {
            let shade = 128 + 20 * images + number;
            tree.add(Subset::Train, class, &png(40, 50, shade));
        }
    }
    let (_folder, survey) = tree.survey();
    assert_eq!(survey.check(Monitor::none()).hold_out, None);
    let held_out = |batch_classes| Some(HoldOut { batch_classes });
    let report = survey.with_hold_out(held_out(3)).check(Monitor::none());
    let parts = report.hold_out.as_ref().unwrap();
    assert_eq!((parts.train.classes, parts.validation.classes), (3, 2));
    assert_eq!(parts.train.images + parts.validation.images, 16);
    assert_eq!(report.train.images, 16);
    let text = report.to_string();
    let line = format!("       for validation: {}\n", parts.validation);
    assert!(text.contains(&line), "{text}");
}

#[test]
fn too_few_classes_to_hold_out_are_an_error() {
    let (_folder, survey) = Tree::valid().survey();
    let hold_out = Some(HoldOut { batch_classes: 2 });
    let report = survey.with_hold_out(hold_out).check(Monitor::none());
    assert_eq!(report.hold_out, None);
    assert_eq!(names(&report.problems), [("error", "too-few-classes")]);
}

#[test]
fn classes_that_are_left_out_are_not_held_out() {
    let keys = |policy| FolderConfig {
        single_image_classes: policy,
        ..FolderConfig::default()
    };
    for (policy, training) in [
        (SingleImageClasses::Drop, 4),
        (SingleImageClasses::Repeat, 5),
    ] {
        let mut tree = Tree::valid();
        for class in ["e", "f"] {
            tree.add(Subset::Train, class, &png(40, 50, 200));
            tree.add(Subset::Train, class, &png(40, 51, 200));
        }
        tree.add(Subset::Train, "g", &png(40, 50, 210));
        let (_folder, survey) = tree.survey_as(DatasetConfig::Folder(keys(policy)));
        let hold_out = Some(HoldOut { batch_classes: 2 });
        let report = survey.with_hold_out(hold_out).check(Monitor::none());
        let parts = report.hold_out.unwrap();
        assert_eq!(parts.validation.classes, 2);
        assert_eq!(parts.train.classes + 2, training, "{policy:?}");
    }
}

#[test]
fn a_dataset_that_cannot_be_opened_has_the_usual_report() {
    let config = DataConfig {
        source: DatasetConfig::Folder(FolderConfig {
            root: "/nowhere".into(),
            ..FolderConfig::default()
        }),
        ..DataConfig::default()
    };
    let report = crate::data::check(&config, None, None, Monitor::none());
    assert_eq!(names(&report.problems), [("error", "missing-root")]);
    assert!(!report.opened && !report.ok && !report.interrupted);
    assert_eq!(
        report.to_string(),
        "folder in /nowhere\n\nerror missing-root: 1\n  data.root /nowhere is not a folder; it must contain \
         train/CLASS/* and test/CLASS/*, or CLASS/*\n\n1 error(s): fix the errors before training\n"
    );
    let json = serde_json::to_value(&report).unwrap();
    let usual = serde_json::to_value(Tree::valid().check()).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&json), keys(&usual));

    let token = CancellationToken::new();
    token.cancel();
    let observer = RecordingObserver::default();
    let monitor = Monitor::new(&token, &observer);
    let source = DatasetConfig::Folder(FolderConfig {
        root: std::env::temp_dir(),
        ..FolderConfig::default()
    });
    let config = DataConfig {
        source,
        ..DataConfig::default()
    };
    let report = crate::data::check(&config, None, None, monitor);
    assert!(report.interrupted && !report.opened);
    assert_eq!(report.problems, []);
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

#[test]
fn stale_and_damaged_caches_are_problems() {
    let (_folder, survey) = Tree::valid().survey();
    let mut report = survey.check(Monitor::none());
    let cache = |split: &str, state| CacheComparison {
        split: split.into(),
        file: format!("cache/{split}.images").into(),
        state,
    };
    report.add_caches(Ok(vec![
        cache(
            "train",
            CacheState::Compared {
                images: 4,
                stale: vec!["photos/a/1.png".into()],
            },
        ),
        cache(
            "validation",
            CacheState::Damaged {
                reason: "wrong length".into(),
            },
        ),
        cache("test", CacheState::Missing),
    ]));
    assert_eq!(
        names(&report.problems),
        [("error", "stale-cache"), ("warning", "damaged-cache")]
    );
    assert!(!report.ok);
    let file = report.problems[0].file().unwrap();
    assert_eq!(file, std::path::Path::new("photos/a/1.png"));
    let text = report.to_string();
    for part in [
        "cache of train: 3 of 4 images are the same in cache/train.images\n",
        "cache of validation: cache/validation.images is damaged (wrong length)\n",
        "cache of test: cache/test.images was not built yet\n",
        "photos/a/1.png is not the image in the cache cache/train.images, although its size and time are the \
         same; delete the cache",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["caches"][0]["stale"][0], "photos/a/1.png");
    assert_eq!(json["caches"][2]["state"], "missing");

    let mut report = survey.check(Monitor::none());
    report.add_caches(Err(CacheError::NotCompared));
    assert_eq!(names(&report.problems), [("warning", "cache-not-compared")]);
    assert_eq!(report.caches, None);
    report.add_caches(Err(CacheError::Cancelled));
    assert!(report.interrupted);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf8_is_shown_with_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let mut tree = Tree::valid();
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"photos/caf\xe9"));
    let error = DatasetError::from(FolderError::NotUtf8 { path });
    tree.index.errors.push(error);
    let json = serde_json::to_value(tree.problem()).unwrap();
    assert_eq!(json["file"], r"photos/caf\xe9");
    assert_eq!(json["kind"], "not-utf8");
}
