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

#[test]
fn interrupted_check_of_a_dataset_prints_what_it_found() {
    let temporary = tempfile::tempdir().unwrap();
    let photos = temporary.path().join("photos");
    for class in 0..4 {
        let folder = photos.join(class.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..1000 {
            let path = folder.join(format!("{number}.png"));
            // Links, since decoding must take long and drawing must not.
            if (class, number) == (0, 0) {
                image::RgbImage::from_fn(1200, 1200, |x, y| {
                    let noise = x.wrapping_mul(x ^ 0x9e37).wrapping_mul(y ^ 0x79b9);
                    image::Rgb([(noise >> 3) as u8, (noise >> 7) as u8, (noise >> 11) as u8])
                })
                .save(&path)
                .unwrap();
            } else {
                std::fs::hard_link(photos.join("0/0.png"), &path).unwrap();
            }
        }
    }
    std::fs::write(photos.join("0/broken.png"), "<html>").unwrap();
    for json in [true, false] {
        let mut check = Command::new(assert_cmd::cargo::cargo_bin("loop-dml"));
        check
            .current_dir(&temporary)
            .args(["data", "check", "--dataset", "folder", "--root", "photos"])
            .args(["--workers", "2"])
            .args(json.then_some("--json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = check.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        // The report is larger than a pipe holds.
        let report = std::thread::spawn(move || {
            let mut report = String::new();
            stdout.read_to_string(&mut report).unwrap();
            report
        });
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("decoding: ") {
            line.clear();
            assert!(messages.read_line(&mut line).unwrap() > 0, "no progress");
        }
        assert!(interrupt(child, messages).ends_with("error: interrupted\n"));
        let report = report.join().unwrap();
        if !json {
            let verdict = report.trim_end().lines().last().unwrap();
            assert!(verdict.starts_with("interrupted after "), "{report}");
            assert!(verdict.contains(" of 4001 image(s): "), "{report}");
            continue;
        }
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(
            (&report["interrupted"], &report["ok"]),
            (&true.into(), &false.into())
        );
        assert_eq!(report["train"]["images"], 2001);
        let checked = report["checked"].as_u64().unwrap();
        assert!((2..4001).contains(&checked), "{checked}");
        // The copies among the images that were decoded, which are all but one of them.
        let problems = report["problems"].as_array().unwrap().len() as u64;
        assert!(
            (checked - 2..checked).contains(&problems),
            "{problems} of {checked}"
        );
    }
}
