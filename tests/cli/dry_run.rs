//! `train --dry-run`: checks and an estimate, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{SMALL, draw_folder, loop_dml, train_small};
use serde_json::Value;

/// Runs `train --dry-run` with `more` arguments. Returns the exit status, standard output and standard error.
fn dry_run(directory: &Path, more: &[&str]) -> (i32, String, String) {
    let output = loop_dml(directory)
        .args(["train", "--dry-run"])
        .args(more)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

/// As [`dry_run`] with `--json`. Returns the exit status and the object.
fn dry_run_json(directory: &Path, more: &[&str]) -> (i32, Value) {
    let (status, printed, _) = dry_run(directory, &[&["--json"], more].concat());
    (status, serde_json::from_str(&printed).unwrap())
}

/// The check `name` of the object that `--json` prints.
fn check<'a>(printed: &'a Value, name: &str) -> &'a Value {
    let checks = printed["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name} in {printed}"))
}

/// The bytes of every file and the names of every folder below `folder`.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(name, Vec::new());
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

const ALL: [&str; 8] = [
    "configuration",
    "run folder",
    "weights",
    "data",
    "batch",
    "loss",
    "disk",
    "step",
];

#[test]
fn checks_pass_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    for run in [&["--run", "new/run"][..], &[]] {
        let (status, table, _) = dry_run(directory.path(), &[run, &SMALL].concat());
        assert_eq!(status, 0, "{table}");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), ALL.len() + 1, "{table}");
        for (line, name) in lines.iter().zip(ALL) {
            assert!(line.starts_with(name) && line.contains("  ok  "), "{line}");
        }
        assert!(lines[ALL.len()].starts_with("estimate"), "{table}");
        assert!(contents(directory.path()).is_empty());
    }
}

#[test]
fn json_has_checks_and_estimate() {
    let directory = tempfile::tempdir().unwrap();
    let (status, printed) = dry_run_json(directory.path(), &SMALL);
    assert_eq!(status, 0, "{printed}");
    assert_eq!(printed["ok"], true);
    let checks = printed["checks"].as_array().unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ALL);
    for check in checks {
        assert_eq!(check["ok"], true, "{check}");
        assert!(check["message"].is_string(), "{check}");
    }
    for key in ["seconds_per_epoch", "seconds", "disk_bytes"] {
        assert!(
            printed["estimate"][key].as_f64().unwrap() > 0.0,
            "{printed}"
        );
    }
    if cfg!(target_os = "linux") {
        assert!(printed["estimate"]["memory_bytes"].as_u64().unwrap() > 1_000_000);
    }
}

#[test]
fn every_failing_check_is_reported_and_the_status_is_2() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("run")).unwrap();
    fs::write(directory.path().join("run/thesis.txt"), "precious").unwrap();
    let before = contents(directory.path());
    let arguments = [
        "--run",
        "run",
        "--set",
        "model.weights=missing.pth",
        "--set",
        "data.dataset=folder",
        "--set",
        "data.root=nowhere",
    ];
    let (status, printed) = dry_run_json(directory.path(), &arguments);
    assert_eq!(status, 2);
    assert_eq!(printed["ok"], false);
    for (name, part) in [
        ("run folder", "already exists"),
        ("weights", "missing.pth does not exist"),
        ("data", "nowhere"),
    ] {
        let check = check(&printed, name);
        assert_eq!(check["ok"], false, "{check}");
        assert!(check["message"].as_str().unwrap().contains(part), "{check}");
    }
    for name in ["configuration", "loss", "disk"] {
        assert_eq!(check(&printed, name)["ok"], true, "{printed}");
    }
    assert_eq!(printed["estimate"]["seconds_per_epoch"], Value::Null);

    let (status, table, error) = dry_run(directory.path(), &arguments);
    assert_eq!(status, 2);
    assert_eq!(table.matches("FAILED").count(), 3, "{table}");
    assert!(error.contains("error: 3 check(s) failed"), "{error}");
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn each_kind_of_failure_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (set, name, part) in [
        (
            "training.epoch=3",
            "configuration",
            "did you mean `training.epochs`?",
        ),
        (
            "batch.images_per_class=3",
            "configuration",
            "batch.images_per_class = 3",
        ),
        (
            "evaluation.protocol=validated --set data.validation_share=0.9",
            "data",
            "classes",
        ),
        (
            "batch.classes=1000",
            "batch",
            "the training split has 4 classes",
        ),
    ] {
        let set: Vec<&str> = ["--set"].into_iter().chain(set.split(' ')).collect();
        let arguments = [&SMALL[..], &set].concat();
        let (status, printed) = dry_run_json(directory.path(), &arguments);
        assert_eq!(status, 2, "{set:?}");
        let check = check(&printed, name);
        assert_eq!(check["ok"], false, "{check}");
        assert!(check["message"].as_str().unwrap().contains(part), "{check}");
    }
}

#[test]
fn too_little_space_for_all_checkpoints_is_a_warning_with_both_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let keep = ["--set", "training.keep_checkpoints=1000000000"];
    let (status, printed) = dry_run_json(directory.path(), &[&SMALL[..], &keep].concat());
    assert_eq!(status, 0);
    let disk = check(&printed, "disk");
    assert_eq!(disk["warning"], true, "{disk}");
    let message = disk["message"].as_str().unwrap();
    assert!(message.starts_with("too little space: needs "), "{message}");
    assert!(
        message.contains("for 1000000002 checkpoints") && message.ends_with(" free"),
        "{message}"
    );
}

#[test]
fn image_cache_is_counted_and_not_built() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    let before = contents(directory.path());
    let folder = [
        "--set",
        "data.dataset=folder",
        "--set",
        "data.root=photos",
        "--set",
        "batch.classes=2",
        "--set",
        "evaluation.protocol=published",
    ];
    let cache = ["--set", "data.cache=true", "--set", "data.cache_dir=cache"];
    let (_, without) = dry_run_json(directory.path(), &folder);
    let (status, with) = dry_run_json(directory.path(), &[&folder[..], &cache].concat());
    assert_eq!(status, 0, "{with}");
    let message = check(&with, "disk")["message"].as_str().unwrap();
    assert!(message.contains("for the image cache in"), "{message}");
    let bytes = |printed: &Value| printed["estimate"]["disk_bytes"].as_u64().unwrap();
    assert!(bytes(&with) > bytes(&without));
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn resume_is_checked_and_the_run_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=2"]);
    let before = contents(directory.path());
    let resume = ["--resume", "--run", "run"];
    let more = [&resume[..], &["--set", "training.epochs=3"]].concat();
    let (status, printed) = dry_run_json(directory.path(), &more);
    assert_eq!(status, 0, "{printed}");
    assert_eq!(
        check(&printed, "checkpoint")["message"],
        "resumes after epoch 2"
    );

    let (status, printed) = dry_run_json(directory.path(), &resume);
    assert_eq!(status, 0, "{printed}");
    let message = check(&printed, "checkpoint")["message"].as_str().unwrap();
    assert!(message.contains("is finished"), "{message}");

    let other = [&resume[..], &["--set", "loss.margin=0.5"]].concat();
    let (status, printed) = dry_run_json(directory.path(), &other);
    assert_eq!(status, 2);
    let message = check(&printed, "configuration")["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("cannot change loss.margin"), "{message}");
    assert_eq!(contents(directory.path()), before);

    let (status, printed) = dry_run_json(directory.path(), &["--resume", "--run", "nowhere"]);
    assert_eq!(status, 2);
    assert_eq!(check(&printed, "run folder")["ok"], false);
}

#[test]
fn json_needs_dry_run() {
    let directory = tempfile::tempdir().unwrap();
    let refused = loop_dml(directory.path())
        .args(["train", "--json"])
        .assert()
        .code(2);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(message.contains("--dry-run"), "{message}");
}

#[test]
fn training_prints_the_checks_first() {
    let directory = tempfile::tempdir().unwrap();
    let printed = train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let lines: Vec<&str> = printed.lines().collect();
    let positions: Vec<usize> = ALL[..ALL.len() - 1]
        .iter()
        .map(|name| {
            let found = lines
                .iter()
                .position(|line| line.starts_with(&format!("{name:15}ok")));
            found.unwrap_or_else(|| panic!("no check {name} in {printed}"))
        })
        .collect();
    assert!(positions.is_sorted(), "{printed}");
    let untrained = lines.iter().position(|line| line.starts_with("untrained"));
    assert!(untrained > positions.last().copied(), "{printed}");
}
