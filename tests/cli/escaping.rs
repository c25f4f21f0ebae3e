//! Names with codes for terminals: escaped in everything that is printed.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::support::{draw_folder, loop_dml, train_small};

/// Clears the screen, breaks the line, reverses the text, and a code of one byte.
const HOSTILE: &str = "a\u{1b}[2Jb\nc\u{202e}d\u{9b}2Je\u{2066}f";
/// How it is printed.
const ESCAPED: &str = r"a\u{1b}[2Jb\u{a}c\u{202e}d\u{9b}2Je\u{2066}f";
/// How the debug format of Rust prints it, in messages that quote names.
const QUOTED: &str = r"a\u{1b}[2Jb\nc\u{202e}d\u{9b}2Je\u{2066}f";

/// Runs a command and returns what it printed, after a check that no code is in it.
fn printed(directory: &Path, arguments: &[&str]) -> (String, String) {
    let output = loop_dml(directory).args(arguments).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let code = |c: char| {
            (c.is_control() && c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || c == '\u{2066}'
        };
        assert!(!text.contains(code), "{arguments:?}: {text:?}");
        assert!(
            !text.contains("b\nc"),
            "{arguments:?}: a name breaks a line: {text}"
        );
        text
    });
    (stdout, stderr)
}

fn names_it(text: &str) -> bool {
    text.contains(ESCAPED) || text.contains(QUOTED)
}

/// A folder of classes, one of them with a hostile name and an image that cannot be read.
fn hostile_folder(directory: &Path) {
    draw_folder(&directory.join("photos"), 4, 4);
    let class = directory.join("photos").join(HOSTILE);
    fs::create_dir(&class).unwrap();
    for name in ["1.jpg", "2.jpg"] {
        fs::write(class.join(name), "no image").unwrap();
    }
}

#[test]
fn names_of_classes_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    hostile_folder(here);
    let source = ["--dataset", "folder", "--root", "photos"];
    let (report, _) = printed(here, &[&["data", "check"][..], &source].concat());
    assert!(names_it(&report), "{report}");
    let (json, _) = printed(here, &[&["data", "check", "--json"][..], &source].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let file = json["problems"][0]["file"].as_str().unwrap();
    assert!(file.contains(HOSTILE), "JSON has the name itself: {file}");
    let sheet = ["data", "stats", "--sheet", "sheet.png"];
    let (rows, _) = printed(here, &[&sheet[..], &source].concat());
    assert!(names_it(&rows), "{rows}");
    let train = [
        "train",
        "--run",
        "run",
        "--set",
        "data.dataset=folder",
        "--set",
        "data.root=photos",
        "--set",
        "batch.classes=2",
        "--set",
        "batch.images_per_class=2",
    ];
    let (_, error) = printed(here, &train);
    assert!(names_it(&error), "{error}");
    let embed = ["embed", "--backbone", "conv4", "--weights", HOSTILE];
    let output = ["--images", "photos", "--output", "photos.npy"];
    let (_, error) = printed(here, &[&embed[..], &output].concat());
    assert!(names_it(&error), "{error}");
}

#[test]
fn names_of_tensors_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 2, 2);
    let bytes = 1.0f32.to_le_bytes();
    let tensor = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
    let file = safetensors::serialize([(HOSTILE, tensor)], None).unwrap();
    fs::write(here.join("weights.safetensors"), file).unwrap();
    let weights = ["--backbone", "conv4", "--weights", "weights.safetensors"];
    let images = ["--images", "photos", "--output", "photos.npy"];
    let (_, error) = printed(here, &[&["embed"][..], &weights, &images].concat());
    assert_eq!(error.lines().count(), 1, "{error}");
    let (_, error) = printed(here, &["evaluate", "--embeddings", "weights.safetensors"]);
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn names_of_files_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let hostile_run = format!("run {HOSTILE}");
    let output = train_small(here, &hostile_run, &["--set", "training.epochs=1"]);
    assert!(output.contains(ESCAPED), "{output}");
    let (recall, _) = printed(here, &["evaluate", &hostile_run]);
    assert!(recall.contains(ESCAPED), "{recall}");
    let exported = format!("{HOSTILE}.safetensors");
    let (_, written) = printed(here, &["export", &hostile_run, "--output", &exported]);
    assert!(written.contains(ESCAPED), "{written}");
    let missing = format!("{HOSTILE}-missing");
    for arguments in [
        &["evaluate", &missing][..],
        &["evaluate", "--embeddings", &missing],
        &["train", "--config", &missing],
        &[
            "loss",
            "--embeddings",
            &missing,
            "--loss",
            "triplet",
            "--negatives",
            "none",
        ],
        &["data", "check", "--dataset", "sop", "--root", &missing],
        &["train", "--resume", "--run", &missing],
    ] {
        let (_, error) = printed(here, arguments);
        assert!(names_it(&error), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
    }
}

#[test]
fn configurations_and_lists_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let key = r#""a\u001b[2Jb\nc\u202ed\u009b2Je\u2066f" = 1"#;
    fs::write(here.join("key.toml"), format!("[training]\n{key}\n")).unwrap();
    let (_, error) = printed(here, &["train", "--config", "key.toml"]);
    assert_eq!(error.lines().count(), 1, "{error}");
    // The message quotes the line of the file.
    fs::write(
        here.join("syntax.toml"),
        "[training]\nepochs = \u{1b}[2J \u{202e}x\n",
    )
    .unwrap();
    let (_, error) = printed(here, &["train", "--config", "syntax.toml"]);
    assert!(error.contains("line 2"), "{error}");
    let list = format!("path,label,split\n\"{HOSTILE}\",\"{HOSTILE}\",train\n");
    fs::write(here.join("list.csv"), list).unwrap();
    let manifest = [
        "data",
        "check",
        "--dataset",
        "manifest",
        "--root",
        "list.csv",
    ];
    let (report, error) = printed(here, &manifest);
    assert!(names_it(&report) || names_it(&error), "{report}{error}");
    let columns = format!("path,label,\"{HOSTILE}\"\n1.jpg,1,train\n");
    fs::write(here.join("columns.csv"), columns).unwrap();
    printed(
        here,
        &[
            "data",
            "check",
            "--dataset",
            "manifest",
            "--root",
            "columns.csv",
        ],
    );
}
