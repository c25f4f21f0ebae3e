//! Output to a closed pipe or a full disk, and signals.

#![cfg(unix)]

#[cfg(target_os = "linux")]
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{SMALL, draw_folder, loop_dml, metrics, spawnable, train_small};

fn command(directory: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("loop-dml"));
    command.current_dir(directory);
    command
}

/// A command, and whether it prints on standard output.
type Subcommand = (&'static [&'static str], bool);

/// Every subcommand with a small task, in an order in which they can run. OUT is a new file.
const SUBCOMMANDS: [Subcommand; 24] = [
    (&["config"], true),
    (&["config", "loss", "--json"], true),
    (&["config", "--set", "training.epochs=3"], true),
    (&["evaluate", "run"], true),
    (&["evaluate", "run", "--json"], true),
    (&["evaluate", "--embeddings", "rows.safetensors"], true),
    (
        &["embed", "run", "--images", "photos", "--output", "OUT"],
        false,
    ),
    (&["export", "run", "--output", "OUT"], false),
    (
        &[
            "loss",
            "--embeddings",
            "rows.safetensors",
            "--loss",
            "triplet",
            "--negatives",
            "none",
        ],
        true,
    ),
    (
        &["data", "check", "--dataset", "folder", "--root", "photos"],
        true,
    ),
    (
        &[
            "data",
            "check",
            "--dataset",
            "synthetic",
            "--set",
            "data.classes=8",
            "--set",
            "data.images_per_class=4",
            "--json",
        ],
        true,
    ),
    (
        &[
            "data",
            "stats",
            "--dataset",
            "synthetic",
            "--set",
            "data.classes=8",
            "--set",
            "data.images_per_class=4",
        ],
        true,
    ),
    (
        &[
            "data",
            "stats",
            "--dataset",
            "synthetic",
            "--set",
            "data.classes=8",
            "--set",
            "data.images_per_class=4",
            "--json",
        ],
        true,
    ),
    (
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
        true,
    ),
    (
        &[
            "bench",
            "step",
            "--backbone",
            "conv4",
            "--batch",
            "4",
            "--size",
            "16",
            "--dim",
            "4",
            "--repeats",
            "1",
        ],
        true,
    ),
    (
        &[
            "bench", "loader", "--images", "40", "--passes", "1", "--steps", "0", "--size", "32",
            "--resize", "36", "--batch", "4",
        ],
        true,
    ),
    (&["sweep", "sweep.toml", "--dry-run"], true),
    (&["sweep", "sweep.toml", "--results"], true),
    (&["devices"], true),
    (&["devices", "--json"], true),
    (&["--help"], true),
    (&["--version"], true),
    (&["train", "--help"], true),
    (&["bench", "loss", "--help"], true),
];

/// A folder with what the subcommands read.
fn prepared() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    train_small(here, "run", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 4, 2);
    let axes = "[axes]\ntraining.seed = [1, 2]\n";
    std::fs::write(here.join("sweep.toml"), axes).unwrap();
    loop_dml(here)
        .args([
            "embed",
            "run",
            "--images",
            "photos",
            "--output",
            "rows.safetensors",
        ])
        .assert()
        .success();
    directory
}

/// The subcommands with a new output file each.
fn subcommands(directory: &Path) -> impl Iterator<Item = (Command, String, bool)> {
    SUBCOMMANDS
        .iter()
        .enumerate()
        .map(move |(number, (arguments, prints))| {
            let unused = (0..).map(|n| format!("out-{number}-{n}.safetensors"));
            let mut unused = unused.filter(|name| !directory.join(name).exists());
            let name = unused.next().unwrap();
            let arguments = arguments.iter().map(|&argument| match argument {
                "OUT" => name.as_str(),
                other => other,
            });
            let arguments: Vec<&str> = arguments.collect();
            let mut command = command(directory);
            command.args(&arguments);
            (command, arguments.join(" "), *prints)
        })
}

#[test]
fn closed_standard_output_ends_every_subcommand_quietly() {
    let directory = prepared();
    for (mut command, name, _) in subcommands(directory.path()) {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Before the child writes.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {errors}");
        assert!(!errors.contains("error"), "{name}: {errors}");
        assert!(!errors.contains("panicked"), "{name}: {errors}");
    }
}

#[test]
fn closed_standard_error_ends_no_subcommand() {
    let directory = prepared();
    for (mut command, name, _) in subcommands(directory.path()) {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn reader_of_the_first_line_ends_every_subcommand_quietly() {
    let directory = prepared();
    for (mut command, name, prints) in subcommands(directory.path()) {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        assert_eq!(!line.is_empty(), prints, "{name}: {line}");
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
fn full() -> std::fs::File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_one_error_with_status_1_in_every_subcommand() {
    let directory = prepared();
    for (mut command, name, prints) in subcommands(directory.path()) {
        let output = command.stdout(full()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let message = "error: cannot write to standard output: ";
        assert_eq!(
            output.status.code(),
            Some(i32::from(prints)),
            "{name}: {errors}"
        );
        assert_eq!(
            errors.matches(message).count(),
            usize::from(prints),
            "{name}: {errors}"
        );
        assert!(!errors.contains("panicked"), "{name}: {errors}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_cannot_be_written_end_nothing() {
    let directory = prepared();
    for (mut command, name, _) in subcommands(directory.path()) {
        let output = command.stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
    let trained = command(directory.path())
        .args(["train", "--run", "unheard"])
        .args(SMALL)
        .args(["--set", "training.epochs=2"])
        .stdout(full())
        .stderr(full())
        .output()
        .unwrap();
    assert_eq!(trained.status.code(), Some(0));
    assert_eq!(metrics(directory.path(), "unheard").len(), 3);
    // Errors keep their status.
    let refused = command(directory.path())
        .args(["evaluate", "nowhere"])
        .stderr(full())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

/// Starts a training of many epochs and waits until it has recorded some.
fn endless_training(directory: &Path, prepare: impl FnOnce(&mut Command)) -> Child {
    let mut command = spawnable(directory);
    command
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args(["--set", "training.epochs=100000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    prepare(&mut command);
    let child = command.spawn().unwrap();
    let lines = || {
        let text = std::fs::read_to_string(directory.join("run/metrics.jsonl"));
        text.unwrap_or_default().lines().count()
    };
    for _ in 0..1200 {
        if lines() >= 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(lines() >= 3, "the training does not begin");
    child
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The status within a minute; `None` if the process is still running.
fn status_within(child: &mut Child, limit: Duration) -> Option<i32> {
    let since = std::time::Instant::now();
    while since.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn interrupt_termination_and_hang_up_end_a_training_with_status_130() {
    for signal in ["INT", "TERM", "HUP"] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = endless_training(directory.path(), |_| {});
        send(&child, signal);
        let status = status_within(&mut child, Duration::from_secs(60));
        assert_eq!(status, Some(130), "{signal}");
    }
}

#[test]
fn hang_up_that_was_ignored_before_stays_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let binary = assert_cmd::cargo::cargo_bin("loop-dml");
    let mut child = endless_training(here, |command| {
        let mut ignoring = Command::new("nohup");
        let arguments = command
            .get_args()
            .skip_while(|argument| *argument != "train");
        ignoring.arg(binary).args(arguments);
        ignoring.current_dir(here);
        ignoring.stdout(Stdio::null()).stderr(Stdio::null());
        *command = ignoring;
    });
    send(&child, "HUP");
    assert_eq!(status_within(&mut child, Duration::from_secs(3)), None);
    send(&child, "TERM");
    assert_eq!(
        status_within(&mut child, Duration::from_secs(60)),
        Some(130)
    );
}

#[test]
fn log_filter_is_read_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[optimizer]\nbackbone_factor = 0.5\n[data]\nclasses = 8\nimages_per_class = 8\n\
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
