//! Whole trainings.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::launch::{Group, resume_arguments, run, train_arguments};

fn lines(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Checks that two runs have the same epochs. Steps of Adam enlarge differences of rounding.
fn assert_same(found: &Path, expected: &Path) {
    const TOLERANCE: f64 = 1e-3;

    let (found, expected) = (lines(found), lines(expected));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["recall"], expected["recall"], "{found} {expected}");
        let (Some(found), Some(expected)) = (
            found["training"].as_object(),
            expected["training"].as_object(),
        ) else {
            continue;
        };
        for (key, expected) in expected {
            let (found, expected) = (found[key].as_f64(), expected.as_f64());
            let (Some(found), Some(expected)) = (found, expected) else {
                continue;
            };
            let limit = TOLERANCE * expected.abs().max(1.0);
            assert!(
                (found - expected).abs() <= limit,
                "{key}: {found} {expected}"
            );
        }
    }
}

fn result(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("result.json")).unwrap();
    let mut result: Value = serde_json::from_str(&text).unwrap();
    result.as_object_mut().unwrap().remove("checksum");
    result
}

#[test]
fn training_is_that_of_one_process_and_continues_with_another_number() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    let (one, three, parts) = (
        directory.join("one"),
        directory.join("three"),
        directory.join("parts"),
    );
    let settings = ["training.sync_batch_norm=true", "training.epochs=6"];
    let printed = run(directory, 1, &train_arguments("one", &settings));
    let together = run(directory, 3, &train_arguments("three", &settings));
    assert_same(&three, &one);
    assert_eq!(result(&three), result(&one));
    // Process 0 prints what one process does.
    for line in ["epoch 1/6", "epoch 6/6"] {
        assert_eq!(printed.matches(line).count(), 1, "{printed}");
        assert_eq!(together.matches(line).count(), 1, "{together}");
    }

    let half = ["training.sync_batch_norm=true", "training.epochs=2"];
    run(directory, 2, &train_arguments("parts", &half));
    run(
        directory,
        4,
        &resume_arguments("parts", &["training.epochs=4"]),
    );
    run(
        directory,
        1,
        &resume_arguments("parts", &["training.epochs=6"]),
    );
    assert_same(&parts, &one);
    assert_eq!(result(&parts), result(&one));
    let record: Value =
        serde_json::from_str(&fs::read_to_string(parts.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["processes"], 2);
    let changes = record["changes"].as_array().unwrap().iter();
    let processes = changes.filter(|change| change["key"] == "processes");
    let processes: Vec<_> = processes.map(|change| change["after"].as_u64()).collect();
    assert_eq!(processes, [Some(4), Some(1)]);
    // A finished run is not changed.
    run(directory, 2, &resume_arguments("parts", &[]));
    assert_eq!(result(&parts), result(&one));
}

#[test]
fn batch_norms_of_each_process_train_too() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        2,
        &train_arguments("run", &["training.epochs=3"]),
    );
    assert_eq!(lines(&folder.path().join("run")).len(), 4);
}

#[test]
fn interrupt_of_process_0_saves_a_run_that_continues_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    let settings = ["training.sync_batch_norm=true", "training.epochs=40"];
    run(directory, 2, &train_arguments("whole", &settings));
    let mut group = Group::start(directory, 2, &train_arguments("parts", &settings));
    group.wait_for_epochs("parts", 3);
    group.signal(0, "-INT");
    let (status, printed) = group.end();
    assert_eq!(status, Some(130), "{printed}");
    assert!(lines(&directory.join("parts")).len() < 41);
    run(directory, 2, &resume_arguments("parts", &[]));
    let without_time = |name: &str| {
        let lines = lines(&directory.join(name)).into_iter();
        let lines = lines.map(|mut line| {
            line["seconds"].take();
            line["crc32"].take();
            line
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(without_time("parts"), without_time("whole"));
}
