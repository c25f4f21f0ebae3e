//! Limits of the system on files, memory and threads, and a removed working folder: one message, no abort.

#![cfg(unix)]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;

use crate::support::{SMALL, draw_folder, loop_dml, metrics, train_small};

/// Arguments of a training on `images`, which [`draw_folder`] draws.
const FOLDER: [&str; 12] = [
    "--set",
    "data.dataset=folder",
    "--set",
    "data.root=images",
    "--set",
    "batch.classes=2",
    "--set",
    "model.embedding_dim=16",
    "--set",
    "data.image_size=16",
    "--set",
    "data.resize=18",
];

/// Runs the program in a shell after `setup`, such as `ulimit -n 8`.
fn after(directory: &Path, setup: &str, arguments: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.current_dir(directory).arg("-c");
    shell.arg(format!("{setup} || exit 99; exec \"$@\""));
    shell.arg("sh").arg(cargo_bin("loop-dml")).args(arguments);
    shell.output().unwrap()
}

/// Checks the status and that the last line is the only message, and returns it.
fn message(output: &Output, status: i32) -> String {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    let messages = errors.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(messages.count(), 1, "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(last.starts_with("error: "), "{errors}");
    last.to_string()
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// An allocation that cannot succeed: 1.2 GB of 8192 × 8192 distances with 1 GB of address space.
const LARGE_LOSS: [&str; 8] = [
    "bench",
    "loss",
    "--batch",
    "8192",
    "--repeats",
    "1",
    "--backend",
    "cpu",
];

#[test]
fn removed_working_folder_is_one_message_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 8] = [
        &["train"],
        &["evaluate", "run"],
        &["export", "run", "--output", "embedder.safetensors"],
        &["embed", "run", "--images", "images", "--output", "all.npy"],
        &["data", "stats", "--dataset", "synthetic"],
        &[
            "loss",
            "--embeddings",
            "a.npy",
            "--loss",
            "triplet",
            "--negatives",
            "none",
        ],
        &["bench", "loss"],
        &["devices"],
    ];
    let gone = "mkdir gone && cd gone && rmdir ../gone";
    for arguments in commands {
        let text = message(&after(directory.path(), gone, arguments), 2);
        assert!(text.contains("working folder"), "{arguments:?}: {text}");
    }
    for flag in ["--help", "--version"] {
        let output = after(directory.path(), gone, &[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
    }
}

#[test]
fn limit_on_file_sizes_is_an_error_and_leaves_no_partial_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    train_small(path, "run", &["--set", "training.epochs=1"]);
    draw_folder(&path.join("images"), 2, 2);
    let before = files(path);
    let embed = [
        "embed",
        "run",
        "--images",
        "images",
        "--output",
        "all.safetensors",
    ];
    for arguments in [
        &["export", "run", "--output", "embedder.safetensors"][..],
        &embed,
    ] {
        // No file may be written at all; messages go to a pipe.
        let text = message(&after(path, "ulimit -f 0", arguments), 1);
        assert!(text.contains("File too large"), "{arguments:?}: {text}");
        assert_eq!(files(path), before, "{arguments:?}");
    }
    let mut train = vec!["train", "--run", "other"];
    train.extend(SMALL);
    let text = message(&after(path, "ulimit -f 40", &train), 1);
    assert!(text.contains("File too large"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn exhausted_memory_is_one_message_with_status_1() {
    let directory = tempfile::tempdir().unwrap();
    let output = after(directory.path(), "ulimit -v 1000000", &LARGE_LOSS);
    let text = message(&output, 1);
    assert!(text.contains("out of memory: cannot allocate "), "{text}");
    assert!(text.contains("smaller batch"), "{text}");
}

/// Threads whose stacks are larger than any address space.
#[cfg(target_pointer_width = "64")]
#[test]
fn threads_that_cannot_be_started_are_one_message_with_status_1() {
    let directory = tempfile::tempdir().unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--run", "run"])
        .env("RUST_MIN_STACK", (1_u64 << 50).to_string())
        .output()
        .unwrap();
    let text = message(&output, 1);
    assert!(text.contains("cannot start the threads"), "{text}");
    assert!(text.contains("RAYON_NUM_THREADS"), "{text}");
    assert!(files(directory.path()).is_empty());
}

#[test]
fn limit_on_open_files_is_named_or_suffices() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("images"), 8, 4);
    let mut arguments = vec!["train", "--run", "run"];
    arguments.extend(FOLDER);
    arguments.extend(["--set", "training.epochs=1"]);
    let (mut failed, mut finished) = (0, 0);
    for count in [4, 6, 8, 32] {
        let output = after(directory.path(), &format!("ulimit -n {count}"), &arguments);
        if output.status.success() {
            finished += 1;
            std::fs::remove_dir_all(directory.path().join("run")).unwrap();
            continue;
        }
        failed += 1;
        let status = output.status.code().unwrap();
        assert!([1, 2].contains(&status), "{count}: {status}");
        let text = message(&output, status);
        assert!(text.contains("open files"), "{count}: {text}");
        let _ = std::fs::remove_dir_all(directory.path().join("run"));
    }
    assert!(failed > 0 && finished > 0, "{failed} and {finished}");
}

#[test]
fn image_cache_that_is_cut_during_a_training_does_not_change_the_result() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    draw_folder(&path.join("images"), 8, 6);
    let epochs = 12;
    let end = format!("training.epochs={epochs}");
    let arguments = |run| [&["train", "--run", run, "--set", &end][..], &FOLDER].concat();
    loop_dml(path).args(arguments("without")).assert().success();

    let cached = ["--set", "data.cache=true", "--set", "data.cache_dir=cache"];
    let arguments = [&arguments("cut")[..], &cached].concat();
    let mut training = std::process::Command::new(cargo_bin("loop-dml"));
    training.current_dir(path).args(arguments);
    training.stderr(std::process::Stdio::piped());
    let training = training.spawn().unwrap();
    let recorded = || std::fs::read_to_string(path.join("cut/metrics.jsonl")).unwrap_or_default();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while recorded().lines().count() < 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "no epoch was recorded"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    for name in files(&path.join("cache")) {
        let file = std::fs::File::options()
            .write(true)
            .open(path.join("cache").join(name));
        file.unwrap().set_len(100).unwrap();
    }
    let output = training.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(
        errors.contains("was changed or damaged while in use"),
        "{errors}"
    );
    assert_eq!(metrics(path, "cut"), metrics(path, "without"));
    assert_eq!(metrics(path, "cut").len(), epochs + 1);
}
