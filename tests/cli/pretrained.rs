//! `model.weights = "imagenet"` if the download fails: one error and no partial file. Successful
//! downloads are tested in the library with a small file.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;

use crate::support::{loop_dml, refusal};

const FILE: &str = "googlenet-1378be20.pth";

const MIRROR: &str = "LOOP_DML_WEIGHTS_MIRROR";

/// A server on this machine that gives `answer` to every request and then is silent for a while;
/// its address.
fn serve(answer: &'static str, silence: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            thread::sleep(silence);
        }
    });
    address
}

/// A training from GoogLeNet's published weights, with a cache in `directory`.
fn train(directory: &Path, mirror: &str) -> Command {
    let mut command = loop_dml(directory);
    command.args(TRAIN).env(MIRROR, mirror);
    command.env("XDG_CACHE_HOME", directory.join("cache"));
    // A proxy of this machine would not reach this machine.
    command.env("NO_PROXY", "127.0.0.1");
    command
}

const TRAIN: [&str; 11] = [
    "train",
    "--run",
    "run",
    "--set",
    "model.backbone=googlenet",
    "--set",
    "model.weights=imagenet",
    "--set",
    "data.image_size=64",
    "--set",
    "data.resize=72",
];

/// The last line of a training that fails. It creates neither a run folder nor a file of weights.
fn failure(directory: &Path, mirror: &str, status: i32) -> String {
    let output = train(directory, mirror).assert().code(status);
    let message = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let errors = message.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{message}");
    assert!(!directory.join("run").exists());
    assert!(!directory.join("cache/loop-dml/weights").join(FILE).exists());
    message.lines().last().unwrap().to_string()
}

#[test]
fn server_without_the_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mirror = serve(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Duration::ZERO,
    );
    let message = failure(directory.path(), &mirror, 1);
    let start =
        format!("error: cannot download {mirror}/{FILE}: the server answers with status 404");
    assert!(message.starts_with(&start), "{message}");
    assert!(message.contains("save it as "), "{message}");
}

#[test]
fn wrong_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mirror = serve(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin",
        Duration::ZERO,
    );
    let message = failure(directory.path(), &mirror, 1);
    let start = format!("error: {mirror}/{FILE} returned a file with SHA-256 ");
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn missing_network_names_the_address() {
    let directory = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let message = failure(directory.path(), &format!("http://{port}"), 1);
    let start = format!("error: cannot download http://{port}/{FILE}: ");
    assert!(message.starts_with(&start), "{message}");
    assert!(message.contains(MIRROR), "{message}");
}

#[test]
fn mirror_that_is_no_address_is_the_users_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let message = failure(directory.path(), "/srv/weights", 2);
    assert!(
        message.starts_with("error: LOOP_DML_WEIGHTS_MIRROR=/srv/weights: "),
        "{message}"
    );
}

#[test]
fn damaged_file_in_the_cache_is_named_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache/loop-dml/weights");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join(FILE), "half of it").unwrap();
    let output = train(directory.path(), "").assert().code(2);
    let message = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("is damaged") && message.contains(FILE),
        "{message}"
    );
    assert_eq!(fs::read(cache.join(FILE)).unwrap(), b"half of it");
    assert!(!directory.path().join("run").exists());
}

#[test]
fn weights_that_nobody_published_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(
        directory.path(),
        &["train", "--run", "run", "--set", "model.weights=imagenet"],
    );
    assert!(
        message.contains(
            "`model.weights = \"imagenet\"`: no weights `imagenet` of conv4 are published"
        ),
        "{message}"
    );
    assert!(!directory.path().join("run").exists());
}

#[test]
fn missing_file_of_weights_is_reported_before_the_images_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let weights = "model.weights=nowhere.pth";
    let images = ["--set", "data.dataset=folder", "--set", "data.root=nothing"];
    let train = ["train", "--run", "run", "--set", weights];
    let message = refusal(directory.path(), &[&train[..], &images].concat());
    assert!(
        message.contains("weights file ") && message.contains("nowhere.pth"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn interrupted_download_keeps_what_arrived() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let directory = tempfile::tempdir().unwrap();
    let mirror = serve(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first bytes",
        Duration::from_secs(20),
    );
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("loop-dml"))
        .current_dir(directory.path())
        .args(TRAIN)
        .env(MIRROR, &mirror)
        .env("XDG_CACHE_HOME", directory.path().join("cache"))
        .env("NO_PROXY", "127.0.0.1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let printed = lines.next().unwrap().unwrap();
    assert_eq!(printed, format!("downloading {mirror}/{FILE} (1.00 kB)"));
    let part = directory
        .path()
        .join(format!("cache/loop-dml/weights/{FILE}.part"));
    while fs::read(&part).unwrap() != b"the first bytes" {
        thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(lines.next().unwrap().unwrap(), "error: interrupted");
    assert_eq!(fs::read(&part).unwrap(), b"the first bytes");
    assert!(!directory.path().join("run").exists());
}

/// Writes weights of `conv4` as safetensors. A name is what `name` makes of the network's.
fn write_conv4(path: &Path, name: impl Fn(&str) -> String) {
    use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

    /// Channels before and after each block.
    const CHANNELS: [usize; 5] = [3, 16, 32, 64, 128];

    let mut tensors = Vec::new();
    for (block, sides) in CHANNELS.windows(2).enumerate() {
        tensors.push((
            format!("blocks.{block}.conv.weight"),
            vec![sides[1], sides[0], 3, 3],
        ));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("blocks.{block}.bn.{part}"), vec![sides[1]]));
        }
    }
    tensors.push(("head.weight".to_string(), vec![10, 128]));
    let number = |i: usize| 0.1 + (i % 7) as f32 / 50.0;
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|i| number(i).to_le_bytes()))
        .map(Iterator::collect)
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((key, shape), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name(key), view)
    });
    serialize_to_file(views.collect::<Vec<_>>(), None, path).unwrap();
}

#[test]
fn adapted_names_are_printed_and_recorded() {
    use crate::support::train_small;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoint.pth.tar");
    write_conv4(&file, |name| format!("module.backbone.{name}"));
    let set = [
        "--set",
        "model.weights=checkpoint.pth.tar",
        "--set",
        "training.epochs=1",
    ];
    let notes = [
        "the backbone's tensors are those named module.backbone.*",
        "2 other tensors are not used: module.backbone.head.weight",
    ];
    let printed = train_small(directory.path(), "run", &set);
    assert!(
        printed.contains(&format!("checkpoint.pth.tar: {}", notes[0])),
        "{printed}"
    );
    let record = fs::read(directory.path().join("run/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["weights"][0], notes[0], "{record}");

    // The run's checkpoint has other names, and kernels in another order.
    let checkpoint = "model.weights=run/checkpoint/epoch-1.safetensors";
    let message = refusal(directory.path(), &["train", "--set", checkpoint]);
    assert!(
        message.contains("epoch-1.safetensors is a checkpoint of a run; export the run with"),
        "{message}"
    );

    // A dry run has them in its check of the weights.
    let dry = loop_dml(directory.path())
        .args(["train", "--dry-run"])
        .args(crate::support::SMALL)
        .args(set)
        .assert()
        .success();
    let dry = String::from_utf8(dry.get_output().stdout.clone()).unwrap();
    assert!(dry.contains(notes[0]), "{dry}");
}

#[test]
fn files_that_are_not_weights_are_the_users_mistake() {
    let directory = tempfile::tempdir().unwrap();
    for (content, expected) in [
        ("<!DOCTYPE html><html>", "is a web page, not weights"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer, not the weights; fetch them with `git lfs pull`",
        ),
        ("", "is empty; download or copy it again"),
    ] {
        fs::write(directory.path().join("weights.pth"), content).unwrap();
        let train = [
            "train",
            "--run",
            "run",
            "--set",
            "model.weights=weights.pth",
        ];
        let message = refusal(directory.path(), &train);
        assert!(
            message.contains("weights.pth") && message.contains(expected),
            "{message}"
        );
        assert!(!directory.path().join("run").exists());
    }
}
