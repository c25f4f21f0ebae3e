//! Shared by the command-line tests: the binary, temporary run folders, generated images.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// The binary under test, in the working directory `directory`.
pub(crate) fn loop_dml(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("loop-dml").unwrap();
    command.current_dir(directory);
    command
}

/// The binary under test as a command that can be spawned. SIGHUP ends it also where the tests run with it
/// ignored, as under `nohup`.
#[cfg(unix)]
pub(crate) fn spawnable(directory: &Path) -> std::process::Command {
    let binary = assert_cmd::cargo::cargo_bin("loop-dml");
    let mut command = if cfg!(target_os = "linux") {
        let mut command = std::process::Command::new("env");
        command.arg("--default-signal=HUP").arg(binary);
        command
    } else {
        std::process::Command::new(binary)
    };
    command.current_dir(directory);
    command
}

/// Arguments of a training that takes seconds: 8 drawn classes of 8 images, half of them training. The best
/// epoch is chosen on the test split, so that `metrics` and `evaluate` measure the same images.
pub(crate) const SMALL: [&str; 16] = [
    "--set",
    "evaluation.protocol=published",
    "--set",
    "data.classes=8",
    "--set",
    "data.images_per_class=8",
    "--set",
    "batch.classes=2",
    "--set",
    "model.embedding_dim=16",
    "--set",
    "data.image_size=16",
    "--set",
    "data.resize=18",
    "--set",
    "training.validate_every=1",
];

/// Trains a small run into `run` with `more` arguments and returns what was printed.
pub(crate) fn train_small(directory: &Path, run: &str, more: &[&str]) -> String {
    let output = loop_dml(directory)
        .args(["train", "--run", run])
        .args(SMALL)
        .args(more)
        .assert()
        .success()
        .get_output()
        .clone();
    assert!(
        output.stdout.is_empty(),
        "progress belongs on standard error"
    );
    String::from_utf8(output.stderr).unwrap()
}

/// Resumes a training with these settings and returns what it prints on standard error.
pub(crate) fn resume(directory: &Path, run: &str, settings: &[&str]) -> String {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let output = loop_dml(directory)
        .args(["train", "--resume", "--run", run])
        .args(settings)
        .assert()
        .success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// The recall that `evaluate --json` prints for `run`, with `more` arguments.
pub(crate) fn evaluate(directory: &Path, run: &str, more: &[&str]) -> Value {
    evaluation(directory, run, more)["recall"].take()
}

/// All that `evaluate --json` prints for `run`, with `more` arguments.
pub(crate) fn evaluation(directory: &Path, run: &str, more: &[&str]) -> Value {
    let output = loop_dml(directory)
        .args(["evaluate", run, "--json"])
        .args(more)
        .assert()
        .success()
        .get_output()
        .clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The lines of a run's `metrics.jsonl`, without the wall-clock times and the checksums that cover them.
pub(crate) fn metrics(directory: &Path, run: &str) -> Vec<Value> {
    std::fs::read_to_string(directory.join(run).join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut epoch: Value = serde_json::from_str(line).unwrap();
            for key in ["seconds", "crc32"] {
                epoch.as_object_mut().unwrap().remove(key);
            }
            epoch
        })
        .collect()
}

/// Runs `arguments` and returns the one line it must be refused with, at exit status 2.
pub(crate) fn refusal(directory: &Path, arguments: &[&str]) -> String {
    let message = refused(directory, arguments);
    assert_eq!(
        message.trim_end().lines().count(),
        1,
        "one clear message: {message}"
    );
    message
}

/// Runs `arguments`, which the parser of the command line must refuse, and returns its lines.
pub(crate) fn usage_error(directory: &Path, arguments: &[&str]) -> String {
    refused(directory, arguments)
}

/// Runs `arguments`, which must be refused at exit status 2, and returns standard error.
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = loop_dml(directory)
        .args(arguments)
        .assert()
        .code(2)
        .get_output()
        .clone();
    assert!(
        output.stdout.is_empty(),
        "an error belongs on standard error"
    );
    String::from_utf8(output.stderr).unwrap()
}

/// Draws `classes` folders of `images` small pictures each under `root`: stripes whose direction
/// and width depend on the class, in PNG and JPEG by turns, of different sizes.
pub(crate) fn draw_folder(root: &Path, classes: usize, images: usize) {
    for class in 0..classes {
        let folder = root.join(format!("class-{class:02}"));
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..images {
            let (width, height) = (40 + 3 * number as u32, 50 - 2 * number as u32);
            let picture = image::RgbImage::from_fn(width, height, |x, y| {
                let along = if class % 2 == 0 { x } else { y };
                let bright = (along as usize / (2 + class)).is_multiple_of(2);
                let shade = 40 + 17 * number as u8;
                image::Rgb(if bright {
                    [220, shade, 200]
                } else {
                    [shade, 60, 90]
                })
            });
            let extension = if number % 2 == 0 { "png" } else { "jpg" };
            picture
                .save(folder.join(format!("{number}.{extension}")))
                .unwrap();
        }
    }
}

/// The bytes of a `.npy` file of `values`, whose numbers are of `kind` (`<f4`) and whose shape is that of Python
/// (`(3, 2)`).
pub(crate) fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (dictionary.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        dictionary.as_bytes(),
        values,
    ]
    .concat()
}
