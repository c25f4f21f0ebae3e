//! Ctrl-C ends commands that have nothing to save within about a second, and long work shows progress.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a process may need from the signal to its end, on a machine that runs other tests.
const LIMIT: Duration = Duration::from_secs(2);

/// Starts the binary, with `temporary` as the folder of its temporary files.
fn start(temporary: &Path, arguments: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("loop-dml"))
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends SIGINT and asserts that the process ends in time with status 130. Returns the rest of its
/// standard error.
fn interrupt(mut child: Child, mut messages: impl Read) -> String {
    let sent = Instant::now();
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if sent.elapsed() > 10 * LIMIT {
            child.kill().unwrap();
            panic!("still runs after {:?}", sent.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let took = sent.elapsed();
    assert!(took < LIMIT, "ended after {took:?}");
    assert_eq!(status.code(), Some(130));
    let mut rest = String::new();
    messages.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn drawing_images_shows_progress_and_an_interrupt_removes_them() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = start(
        temporary.path(),
        &["bench", "loader", "--images", "200000", "--backend", "cpu"],
    );
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    assert!(line.starts_with("generating images: "), "{line}");
    assert!(line.contains(" / 200,004 images, "), "{line}");
    assert!(line.trim_end().ends_with(" left"), "{line}");
    assert_eq!(interrupt(child, messages), "error: interrupted\n");
    let left: Vec<_> = temporary.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn computation_that_checks_nothing_is_ended() {
    let temporary = tempfile::tempdir().unwrap();
    let loss = [
        "bench",
        "loss",
        "--batch",
        "4096",
        "--dim",
        "16",
        "--repeats",
        "1000",
        "--backend",
        "cpu",
    ];
    let mut child = start(temporary.path(), &loss);
    let messages = child.stderr.take().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let messages = interrupt(child, messages);
    assert!(messages.ends_with("error: interrupted\n"), "{messages}");
}
