//! Output to a closed pipe or a full disk.

#![cfg(unix)]

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::support::{SMALL, loop_dml, metrics, train_small};

fn command(directory: &std::path::Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("loop-dml"));
    command.current_dir(directory);
    command
}

/// Closes the reading end of the child's standard output before the child writes to it.
fn close_stdout(child: &mut Child) {
    drop(child.stdout.take());
}

#[test]
fn closed_standard_output_ends_a_command_quietly() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    for arguments in [
        &["evaluate", "run", "--json"][..],
        &["evaluate", "run"],
        &["devices"],
        &[
            "bench",
            "loss",
            "--batch",
            "8",
            "--dim",
            "4",
            "--repeats",
            "1",
        ],
        &["data", "stats", "--dataset", "synthetic"],
    ] {
        let mut child = command(directory.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        close_stdout(&mut child);
        let mut errors = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}

#[test]
fn closed_standard_error_does_not_end_a_training() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = command(directory.path())
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args(["--set", "training.epochs=2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(metrics(directory.path(), "run").len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_one_error_with_status_1() {
    let directory = tempfile::tempdir().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(directory.path())
        .args(["data", "stats", "--dataset", "synthetic", "--json"])
        .stdout(full)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.starts_with("error: cannot write to standard output: "),
        "{errors}"
    );
}

#[test]
fn log_filter_is_read_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[optimizer]\nbackbone_factor = 0.5\n[data]\nclasses = 8\nimages_per_class = 4\n\
                  [batch]\nclasses = 2\n[training]\nepochs = 1\n";
    std::fs::write(directory.path().join("old.toml"), config).unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--config", "old.toml", "--run", "run"])
        .env("LOOP_DML_LOG", "error")
        .assert()
        .success();
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(!text.contains("warning"), "{text}");
}
