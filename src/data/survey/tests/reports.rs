//! What a report contains besides problems of classes and images, and how it is written.

use super::*;
use crate::cancellation::{CancellationToken, Cancelled};
use crate::data::HoldOut;
use crate::data::config::{FolderConfig, SingleImageClasses};
use crate::data::datasets::{DatasetError, FolderError};
use crate::data::image_cache::{CacheComparison, CacheError, CacheState};
use crate::progress::test_observer::RecordingObserver;

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
