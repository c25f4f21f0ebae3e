//! `training.precision`.

use std::fs;

use serde_json::Value;

use crate::support::{SMALL, evaluate, loop_dml, metrics, refusal, resume, train_small};

const SHORT: [&str; 2] = ["--set", "training.epochs=2"];

fn record(directory: &std::path::Path, run: &str) -> Value {
    let text = fs::read_to_string(directory.join(run).join("run.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn low_precision_trains_with_a_warning_on_the_cpu_and_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "f32", &SHORT);
    assert_eq!(record(directory.path(), "f32")["precision"], "f32");
    let losses = |run| -> Vec<Value> {
        let epochs = metrics(directory.path(), run).into_iter();
        epochs
            .map(|epoch| epoch["training"]["loss"].clone())
            .collect()
    };
    for precision in ["bf16", "f16"] {
        let set = format!("training.precision={precision}");
        let printed = train_small(
            directory.path(),
            precision,
            &[&SHORT[..], &["--set", &set]].concat(),
        );
        assert!(printed.contains("slower than f32 on the CPU"), "{printed}");
        assert!(!printed.contains("overflows"), "{printed}");
        assert_eq!(record(directory.path(), precision)["precision"], precision);
        assert_ne!(
            losses(precision),
            losses("f32"),
            "{precision} changes nothing"
        );
        // Evaluation is f32: it has the recall of the training's own evaluation.
        let epochs = metrics(directory.path(), precision);
        let last = evaluate(directory.path(), precision, &["--checkpoint", "last"]);
        let at = &epochs.last().unwrap()["recall"]["at"];
        assert_eq!(&last, at, "{epochs:?}");
    }
}

#[test]
fn resumed_low_precision_run_equals_the_uninterrupted_one() {
    let directory = tempfile::tempdir().unwrap();
    for precision in ["bf16", "f16"] {
        let [whole, resumed] = ["whole", "resumed"].map(|name| format!("{name}-{precision}"));
        let set = format!("training.precision={precision}");
        let train = |run: &str, epochs: &str| {
            train_small(directory.path(), run, &["--set", &set, "--set", epochs]);
        };
        train(&whole, "training.epochs=4");
        train(&resumed, "training.epochs=2");
        resume(directory.path(), &resumed, &["training.epochs=4"]);
        assert_eq!(
            metrics(directory.path(), &resumed),
            metrics(directory.path(), &whole)
        );
    }
}

#[test]
fn run_resumes_in_another_precision_which_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let bf16 = ["--set", "training.precision=bf16"];
    train_small(directory.path(), "run", &[&SHORT[..], &bf16].concat());
    let settings = ["training.epochs=3", "training.precision=f32"];
    resume(directory.path(), "run", &settings);
    let record = record(directory.path(), "run");
    assert_eq!(record["precision"], "bf16");
    let changes = record["changes"].as_array().unwrap();
    let change = changes
        .iter()
        .find(|change| change["key"] == "training.precision");
    let change = change.unwrap();
    assert_eq!(
        (&change["before"], &change["after"]),
        (&"bf16".into(), &"f32".into())
    );
    assert_eq!(change["epoch"], 2);
}

#[test]
fn dry_run_checks_the_precision_and_other_values_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--dry-run", "--json"])
        .args(SMALL)
        .args(["--set", "training.precision=bf16"])
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = printed["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["name"] == "precision")
        .unwrap();
    assert_eq!(
        (&check["ok"], &check["warning"]),
        (&true.into(), &true.into())
    );

    let set = ["train", "--set", "training.precision=fp16"];
    let message = refusal(directory.path(), &set);
    assert!(
        message.contains("`training.precision = \"fp16\"`"),
        "{message}"
    );
    assert!(message.contains("`bf16`"), "{message}");
}
