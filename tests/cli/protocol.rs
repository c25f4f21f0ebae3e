//! The split that chooses the best epoch.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{evaluate, metrics, train_small};

fn json(directory: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(directory.join(file)).unwrap()).unwrap()
}

#[test]
fn validation_classes_choose_and_the_test_split_is_measured_once() {
    let directory = tempfile::tempdir().unwrap();
    let printed = train_small(
        directory.path(),
        "run",
        &[
            "--set",
            "evaluation.protocol=validated",
            "--set",
            "data.validation_share=0.5",
            "--set",
            "training.epochs=3",
        ],
    );
    let record = json(directory.path(), "run/run.json");
    assert_eq!(record["protocol"], "validated");
    let classes = |split: &str| -> Vec<String> {
        serde_json::from_value(record[split]["classes"].clone()).unwrap()
    };
    let (train, validation, test) = (classes("train"), classes("validation"), classes("test"));
    assert_eq!((train.len(), validation.len(), test.len()), (2, 2, 4));
    assert!(train.iter().all(|class| !validation.contains(class)));
    assert!(validation.iter().all(|class| !test.contains(class)));

    let result = json(directory.path(), "run/result.json");
    assert_eq!(result["protocol"], "validated");
    assert_eq!(result["reason"], "epochs");
    let best = result["best_epoch"].as_u64().unwrap() as usize;
    let epochs = metrics(directory.path(), "run");
    assert_eq!(epochs[best]["recall"], result["validation"]);
    // 2 validation classes of 8 images each are queries during training, 4 test classes at the end.
    assert_eq!(result["validation"]["queries"], 16);
    assert_eq!(result["test"]["queries"], 32);
    let measured = evaluate(directory.path(), "run", &["--checkpoint", "best"]);
    assert_eq!(measured, result["test"]["at"]);
    for line in ["protocol validated", "(validation, epoch", "test "] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}

#[test]
fn published_protocol_chooses_on_the_test_split_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let printed = train_small(
        directory.path(),
        "run",
        &[
            "--set",
            "evaluation.protocol=published",
            "--set",
            "training.epochs=2",
        ],
    );
    let record = json(directory.path(), "run/run.json");
    assert_eq!(record["protocol"], "published");
    assert!(record["validation"].is_null());
    assert_eq!(record["train"]["classes"].as_array().unwrap().len(), 4);
    let result = json(directory.path(), "run/result.json");
    assert!(result["validation"].is_null());
    let best = result["best_epoch"].as_u64().unwrap() as usize;
    let epochs = metrics(directory.path(), "run");
    assert_eq!(epochs[best]["recall"], result["test"]);
    assert!(printed.contains("chosen by the test split"), "{printed}");
}

#[test]
fn too_few_classes_for_validation_are_refused_and_leave_no_folder() {
    let directory = tempfile::tempdir().unwrap();
    let message = crate::support::refusal(
        directory.path(),
        &[
            "train",
            "--run",
            "run",
            "--set",
            "data.classes=4",
            "--set",
            "batch.classes=2",
        ],
    );
    assert!(message.contains("evaluation.protocol"), "{message}");
    assert!(!directory.path().join("run").exists());
}
