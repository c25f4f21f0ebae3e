//! `loop-dml report`.

use std::fs;
use std::path::Path;

use crate::support::{draw_folder, evaluation, loop_dml, refusal, train_small};

/// Runs `report` with `arguments`. Returns what it prints on standard error.
fn report(directory: &Path, arguments: &[&str]) -> String {
    let output = loop_dml(directory)
        .arg("report")
        .args(arguments)
        .assert()
        .success();
    let output = output.get_output();
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

const ONE_EPOCH: [&str; 2] = ["--set", "training.epochs=1"];

#[test]
fn a_run_is_reported_with_the_measures_of_evaluate() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    train_small(folder, "run", &ONE_EPOCH);
    let printed = report(folder, &["run"]);
    assert!(printed.contains("wrote run/report.html"), "{printed}");
    let html = fs::read_to_string(folder.join("run/report.html")).unwrap();
    let measured = evaluation(folder, "run", &[]);
    for measure in [&measured["recall"]["1"], &measured["map_at_r"]] {
        let text = format!("{:.1} %", 100.0 * measure.as_f64().unwrap());
        assert!(html.contains(&text), "{text}");
    }
    assert!(html.contains("Protocol <strong>published</strong>"));
    // A second report replaces the first, and the folder is still a run.
    report(folder, &["run"]);
    assert_eq!(evaluation(folder, "run", &[])["recall"], measured["recall"]);

    fs::write(folder.join("mine.html"), "mine").unwrap();
    let message = refusal(folder, &["report", "run", "--output", "mine.txt"]);
    assert!(message.contains("use the extension .html"), "{message}");
    let message = refusal(folder, &["report", "run", "--output", "mine.html"]);
    assert!(
        message.contains("mine.html exists and is not overwritten"),
        "{message}"
    );
    assert_eq!(
        fs::read_to_string(folder.join("mine.html")).unwrap(),
        "mine"
    );
}

#[test]
fn runs_are_compared_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    train_small(folder, "a", &ONE_EPOCH);
    train_small(
        folder,
        "b",
        &["--set", "training.epochs=1", "--set", "training.seed=2"],
    );
    let printed = report(folder, &["a", "b"]);
    assert!(printed.contains("wrote report.html"), "{printed}");
    let html = fs::read_to_string(folder.join("report.html")).unwrap();
    for text in [
        "Differences to a",
        "training.seed",
        "In points, with 95 % intervals",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let message = refusal(folder, &["report", "a", "b", "./a"]);
    assert!(message.contains("the run is given twice"), "{message}");
}

#[test]
fn a_run_without_checkpoint_is_reported_and_a_named_checkpoint_must_exist() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    train_small(folder, "run", &ONE_EPOCH);
    let message = refusal(folder, &["report", "run", "--checkpoint", "7"]);
    assert!(
        message.contains("has no checkpoint of epoch 7"),
        "{message}"
    );
    assert!(!folder.join("run/report.html").exists());

    fs::remove_dir_all(folder.join("run/checkpoint")).unwrap();
    let printed = report(folder, &["run"]);
    assert!(printed.contains("reported without evaluation"), "{printed}");
    let html = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert!(html.contains("The test split was not evaluated"));
    assert!(html.contains("id=\"curves\"") && html.contains("id=\"configuration\""));
}

#[test]
fn missing_and_moved_images_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    draw_folder(&folder.join("photos"), 6, 4);
    let data = [
        "--set",
        "data.dataset=folder",
        "--set",
        "data.root=photos",
        "--set",
        "training.epochs=1",
        "--set",
        "evaluation.protocol=published",
        "--set",
        "batch.classes=2",
        "--set",
        "data.image_size=16",
        "--set",
        "data.resize=18",
        "--set",
        "model.embedding_dim=8",
    ];
    loop_dml(folder)
        .args(["train", "--run", "run"])
        .args(data)
        .assert()
        .success();
    // Classes 3 to 5 are the test split.
    fs::remove_file(folder.join("photos/class-03/0.png")).unwrap();
    let printed = report(folder, &["run"]);
    assert!(printed.contains("1 test image(s) are missing"), "{printed}");
    let html = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert!(html.contains("1 test image(s) are missing") && html.contains("class-04"));

    fs::rename(folder.join("photos"), folder.join("moved")).unwrap();
    let printed = report(folder, &["run"]);
    assert!(printed.contains("reported without evaluation"), "{printed}");
    report(folder, &["run", "--root", "moved"]);
    let html = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert!(html.contains("id=\"worst\"") && !html.contains("was not evaluated"));
    let message = refusal(folder, &["report", "run", "--root", "nowhere"]);
    assert!(message.contains("nowhere"), "{message}");
}
