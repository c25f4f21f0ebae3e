//! A failure of one process ends all of them with one message, and the run can be resumed.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::launch::{Group, mpirun, resume_arguments, run, text, train_arguments};

/// A training that does not end before the fault.
const LONG: [&str; 2] = ["training.epochs=100000", "training.checkpoint_every=1"];

/// Starts a training, waits for its third epoch, sends a signal to a process after a delay and waits for the
/// end.
fn signalled(
    directory: &Path,
    rank: usize,
    signal: &str,
    delay: Duration,
) -> (Option<i32>, String) {
    let mut group = Group::start(directory, 2, &train_arguments("run", &LONG));
    group.wait_for_epochs("run", 3);
    thread::sleep(delay);
    group.signal(rank, signal);
    group.end()
}

fn assert_resumes(directory: &Path) {
    let text = fs::read_to_string(directory.join("run/metrics.jsonl")).unwrap();
    let epochs = format!("training.epochs={}", text.lines().count() + 2);
    run(directory, 2, &resume_arguments("run", &[&epochs]));
    assert!(directory.join("run/result.json").exists());
}

#[test]
fn killed_process_ends_the_others_and_is_named() {
    // An epoch is a step, an evaluation and a checkpoint, each of which takes milliseconds: in a step, in an exchange,
    // or while process 0 saves.
    for (rank, delay) in [(0, 0), (1, 0), (0, 7), (1, 7), (0, 23), (1, 41)] {
        let folder = tempfile::tempdir().unwrap();
        let delay = Duration::from_millis(delay);
        let (status, printed) = signalled(folder.path(), rank, "-KILL", delay);
        assert_ne!(status, Some(0), "{printed}");
        // mpirun's own message.
        assert!(
            printed.contains(&format!("process rank {rank} with PID")),
            "{printed}"
        );
        assert!(printed.contains("exited on signal 9"), "{printed}");
        assert_resumes(folder.path());
    }
}

#[test]
fn stopped_process_ends_the_others_and_is_named() {
    for rank in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let (status, printed) = signalled(folder.path(), rank, "-STOP", Duration::ZERO);
        assert_ne!(status, Some(0), "{printed}");
        let message = format!("error: process {rank} on ");
        assert_eq!(printed.matches(&message).count(), 1, "{printed}");
        assert!(
            printed.contains("has not responded for 15 seconds"),
            "{printed}"
        );
        assert_resumes(folder.path());
    }
}

/// Starts two processes with other arguments each.
fn different(directory: &Path, first: &[&str], second: &[&str]) -> (Option<i32>, String) {
    let mut command = mpirun(directory);
    command
        .args(["-n", "1"])
        .args(train_arguments("run", first));
    command
        .args([":", "-n", "1"])
        .args(train_arguments("run", second));
    let output = command.output().expect("mpirun is installed (openmpi-bin)");
    (output.status.code(), text(&output))
}

#[test]
fn other_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (status, printed) = different(folder.path(), &["training.seed=1"], &["training.seed=2"]);
    assert_eq!(status, Some(2), "{printed}");
    assert!(printed.contains("error: process 1 on "), "{printed}");
    assert!(
        printed.contains("training.seed is 2, and 1 in process 0"),
        "{printed}"
    );
    assert_eq!(printed.matches("error: ").count(), 1, "{printed}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn other_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (status, printed) = different(
        folder.path(),
        &["data.images_per_class=6"],
        &["data.images_per_class=8"],
    );
    assert_eq!(status, Some(2), "{printed}");
    assert!(
        printed.contains("data.images_per_class is 8, and 6 in process 0"),
        "{printed}"
    );
}

#[test]
fn error_of_another_process_is_printed_by_process_0() {
    let folder = tempfile::tempdir().unwrap();
    let missing = ["data.dataset=\"folder\"", "data.root=\"missing\""];
    let mut command = mpirun(folder.path());
    command.args(["-n", "1"]).args(train_arguments("run", &[]));
    let binary = train_arguments("run", &[]).swap_remove(0);
    command.args([":", "-n", "1", &binary, "train", "--run", "run"]);
    command.args(["--backend", "cpu"]);
    for setting in missing {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("error: process 1 on "), "{printed}");
    assert!(printed.contains("missing"), "{printed}");
    assert_eq!(printed.matches("error: ").count(), 1, "{printed}");
}

#[test]
fn more_processes_than_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = mpirun(folder.path());
    let settings = ["batch.classes=2", "batch.images_per_class=2"];
    command
        .args(["-n", "5"])
        .args(train_arguments("run", &settings));
    let output = command.output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert_eq!(printed.matches("error: ").count(), 1, "{printed}");
    assert!(printed.contains("5 processes share it"), "{printed}");
}
