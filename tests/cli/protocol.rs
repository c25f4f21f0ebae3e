//! The split that chooses the best epoch.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{draw_folder, evaluate, loop_dml, metrics, refusal, train_small};

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

/// Draws 6 classes of 4 images, and lists them as `shop.csv` in three splits of two classes each. A row is
/// `PATH,LABEL,SPLIT` with more columns.
fn list_splits(directory: &Path, splits: [&str; 3], more: &str) {
    draw_folder(&directory.join("photos"), 6, 4);
    let mut rows = format!("path,label,split{more}\n");
    let columns = ",".repeat(more.matches(',').count());
    for (class, image) in (0..6).flat_map(|class| (0..4).map(move |image| (class, image))) {
        let suffix = ["png", "jpg"][image % 2];
        let split = splits[class / 2];
        rows += &format!("photos/class-{class:02}/{image}.{suffix},c{class},{split}{columns}\n");
    }
    fs::write(directory.join("shop.csv"), rows).unwrap();
}

/// Trains the run `run` on `shop.csv` and returns what it prints on standard error.
fn train_on_list(here: &Path) -> String {
    let output = loop_dml(here)
        .args(manifest_arguments("run"))
        .assert()
        .success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn manifest_arguments(run: &str) -> Vec<String> {
    let mut arguments = vec!["train".to_string(), "--run".into(), run.into()];
    for set in [
        "data.dataset=manifest",
        "data.root=shop.csv",
        "data.image_size=16",
        "data.resize=18",
        "batch.classes=2",
        "batch.images_per_class=2",
        "model.embedding_dim=8",
        "training.epochs=2",
        "training.validate_every=1",
    ] {
        arguments.extend(["--set".to_string(), set.to_string()]);
    }
    arguments
}

#[test]
fn listed_validation_classes_choose_and_the_record_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    list_splits(here, ["train", "val", "test"], "");
    let printed = train_on_list(here);
    assert!(
        printed.contains("the validation classes of the list choose the best epoch"),
        "{printed}"
    );
    let record = json(here, "run/run.json");
    assert_eq!(record["validation_source"], "listed");
    assert_eq!(record["train"]["classes"], serde_json::json!(["c0", "c1"]));
    assert_eq!(
        record["validation"]["classes"],
        serde_json::json!(["c2", "c3"])
    );
    assert_eq!(record["test"]["classes"], serde_json::json!(["c4", "c5"]));
    let result = json(here, "run/result.json");
    assert_eq!(
        (&result["validation"]["queries"], &result["test"]["queries"]),
        (&8.into(), &8.into())
    );
    let best = result["best_epoch"].as_u64().unwrap() as usize;
    assert_eq!(metrics(here, "run")[best]["recall"], result["validation"]);
    assert_eq!(evaluate(here, "run", &[]), result["test"]["at"]);
    // The same splits are found again.
    let resume = [
        "train",
        "--resume",
        "--run",
        "run",
        "--set",
        "training.epochs=3",
    ];
    let output = loop_dml(here).args(resume).assert().success();
    let printed = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let differs = |line: &&str| line.starts_with("warning") || line.contains("since the run began");
    assert_eq!(printed.lines().find(differs), None, "{printed}");

    let share = ["--set", "data.validation_share=0.5"];
    let arguments = manifest_arguments("other");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(share).collect();
    let message = refusal(here, &arguments);
    assert!(
        message
            .contains("`data.validation_share = 0.5`: the list has rows of the split validation"),
        "{message}"
    );

    let published = ["--set", "evaluation.protocol=published"];
    let output = loop_dml(here)
        .args(manifest_arguments("published"))
        .args(published)
        .assert()
        .success();
    let printed = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(
        printed.contains("warning: the 8 listed validation images of 2 classes are not used"),
        "{printed}"
    );
    assert!(json(here, "published/run.json")["validation"].is_null());
}

#[test]
fn a_table_of_open_metric_learning_is_measured_on_its_validation_rows_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    list_splits(
        here,
        ["train", "train", "validation"],
        ",is_query,is_gallery,category,x_1,x_2,y_1,y_2",
    );
    let list = fs::read_to_string(here.join("shop.csv")).unwrap();
    let row = |line: &str| {
        let (name, rest) = line.split_once(",,").unwrap_or((line, ""));
        match (line.contains("validation"), line.contains("/0.")) {
            (true, true) => format!("{name},True,False{rest}\n"),
            (true, false) => format!("{name},False,True{rest}\n"),
            (false, _) => format!("{line}\n"),
        }
    };
    fs::write(
        here.join("shop.csv"),
        list.lines().map(row).collect::<String>(),
    )
    .unwrap();
    let printed = train_on_list(here);
    assert!(
        printed.contains("the validation rows are the test split"),
        "{printed}"
    );
    let record = json(here, "run/run.json");
    assert_eq!(record["validation_source"], "held-out");
    assert_eq!(record["test"]["classes"], serde_json::json!(["c4", "c5"]));
    assert_eq!(
        (&record["test"]["queries"], &record["test"]["gallery"]),
        (&2.into(), &6.into())
    );
    assert_eq!(json(here, "run/result.json")["test"]["queries"], 2);
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
