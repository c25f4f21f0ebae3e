//! Runs that are interrupted, extended, damaged or used twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{SMALL, draw_folder, evaluate, loop_dml, metrics, refusal, train_small};

const RESUME: [&str; 4] = ["train", "--resume", "--run", "run"];

/// Resumes `run` with `more` arguments and returns what was printed.
fn resume(directory: &Path, more: &[&str]) -> String {
    let output = loop_dml(directory)
        .args(RESUME)
        .args(more)
        .assert()
        .success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// Every file below `folder` with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = contents(&path).into_iter();
            files.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn json_file(directory: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(directory.join(file)).unwrap()).unwrap()
}

#[test]
fn two_runs_of_one_seed_write_equal_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    for run in ["a", "b"] {
        train_small(directory.path(), run, &["--set", "training.epochs=3"]);
    }
    let checkpoints = |run: &str| contents(&directory.path().join(run).join("checkpoint"));
    assert!(checkpoints("a").len() >= 2);
    assert_eq!(checkpoints("a"), checkpoints("b"));
}

#[test]
fn finished_run_says_so_and_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=2"]);
    let before = contents(&directory.path().join("run"));
    let printed = resume(directory.path(), &[]);
    assert!(
        printed.contains("is finished and was not changed"),
        "{printed}"
    );
    assert_eq!(contents(&directory.path().join("run")), before);
}

#[test]
fn run_that_stopped_early_stays_stopped_until_the_patience_changes() {
    let directory = tempfile::tempdir().unwrap();
    // A learning rate this small changes no neighbour: the first epoch stays the best.
    let still = [
        "--set",
        "training.epochs=9",
        "--set",
        "training.early_stopping=2",
        "--set",
        "optimizer.learning_rate=1e-12",
        "--set",
        "optimizer.weight_decay=0.0",
    ];
    let printed = train_small(directory.path(), "run", &still);
    assert!(printed.contains("stopped early after epoch 3"), "{printed}");
    let result = json_file(directory.path(), "run/result.json");
    assert_eq!(result["reason"], "early-stopping");
    let before = contents(&directory.path().join("run"));
    let printed = resume(directory.path(), &[]);
    assert!(printed.contains("stopped early after epoch 3"), "{printed}");
    assert_eq!(contents(&directory.path().join("run")), before);
    resume(directory.path(), &["--set", "training.early_stopping=4"]);
    assert_eq!(metrics(directory.path(), "run").len(), 1 + 5);
}

#[test]
fn extended_run_keeps_every_measurement_and_the_best_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let more = [
        "--set",
        "training.epochs=10",
        "--set",
        "training.validate_every=4",
    ];
    train_small(directory.path(), "run", &more);
    // Makes the last epoch, which is not a multiple of 4, the best.
    let before = metrics(directory.path(), "run");
    assert!(before[10]["recall"].is_object());
    let best = json_file(directory.path(), "run/result.json")["best_epoch"].clone();
    resume(directory.path(), &["--set", "training.epochs=14"]);
    let after = metrics(directory.path(), "run");
    assert_eq!(after[..11], before[..]);
    let measured: Vec<usize> = (0..=14)
        .filter(|&i| after[i]["recall"].is_object())
        .collect();
    assert_eq!(measured, [0, 4, 8, 10, 12, 14]);
    let now = json_file(directory.path(), "run/result.json")["best_epoch"].clone();
    let checkpoints = contents(&directory.path().join("run/checkpoint"));
    assert!(
        checkpoints.contains_key(&format!("epoch-{now}.safetensors")),
        "{:?}",
        checkpoints.keys()
    );
    if now == best {
        evaluate(directory.path(), "run", &["--checkpoint", "best"]);
    }
}

#[test]
fn changed_learning_rate_is_recorded_and_used() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=2"]);
    let more = [
        "--set",
        "training.epochs=3",
        "--set",
        "optimizer.learning_rate=1e-4",
    ];
    resume(directory.path(), &more);
    let record = json_file(directory.path(), "run/run.json");
    assert_eq!(
        record["changes"],
        json!([
            {"epoch": 2, "key": "optimizer.learning_rate", "before": 1e-3, "after": 1e-4},
            {"epoch": 2, "key": "training.epochs", "before": 2, "after": 3},
        ])
    );
    assert_eq!(
        metrics(directory.path(), "run")[3]["training"]["learning_rate"],
        1e-4
    );
}

#[test]
fn run_continues_where_its_images_are_now() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    let train = |run: &str, epochs: &str| {
        loop_dml(directory.path())
            .args(["train", "--run", run, "--root", "photos"])
            .args(["--set", "data.dataset=folder", "--set", "batch.classes=2"])
            .args(["--set", "data.image_size=16", "--set", "data.resize=18"])
            .args(["--set", "training.validate_every=1", "--set", epochs])
            .assert()
            .success();
    };
    train("whole", "training.epochs=3");
    train("run", "training.epochs=2");
    fs::rename(
        directory.path().join("photos"),
        directory.path().join("moved"),
    )
    .unwrap();
    refusal(
        directory.path(),
        &[&RESUME[..], &["--set", "training.epochs=3"]].concat(),
    );
    resume(
        directory.path(),
        &["--root", "moved", "--set", "training.epochs=3"],
    );
    assert_eq!(
        metrics(directory.path(), "run"),
        metrics(directory.path(), "whole")
    );
    // The run remembers the new location.
    evaluate(directory.path(), "run", &[]);
}

#[test]
fn removed_image_ends_a_resumed_run_unless_broken_images_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 8, 5);
    loop_dml(directory.path())
        .args(["train", "--run", "run", "--root", "photos"])
        .args(["--set", "data.dataset=folder", "--set", "batch.classes=2"])
        .args(["--set", "data.image_size=16", "--set", "data.resize=18"])
        .args(["--set", "training.epochs=1"])
        .assert()
        .success();
    fs::remove_file(photos.join("class-07/4.png")).unwrap();
    let more = ["--set", "training.epochs=2"];
    let message = refusal(directory.path(), &[&RESUME[..], &more].concat());
    assert!(message.contains("the test split of"), "{message}");
    let skip = ["--set", "data.broken_images=skip"];
    let printed = resume(directory.path(), &[&more[..], &skip].concat());
    let missing = "1 test image(s) are missing since the run began, and are skipped";
    assert!(printed.contains(missing), "{printed}");
    let record = json_file(directory.path(), "run/run.json");
    assert_eq!(record["skipped"], json!([missing]));
}

#[test]
fn edited_and_foreign_files_are_refused_and_nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let other = ["--set", "training.epochs=1", "--set", "training.seed=2"];
    train_small(directory.path(), "other", &other);
    let whole = contents(&directory.path().join("run"));
    let file = |name: &str| directory.path().join("run").join(name);
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(file(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        fs::write(file(name), text.replacen(from, to, 1)).unwrap();
    };
    let checkpoint = "checkpoint/epoch-1.safetensors";
    let faults: [(&str, &dyn Fn()); 6] = [
        ("config.toml was edited or damaged", &|| {
            edit("config.toml", "\"conv4\"", "\"resnet50\"");
        }),
        ("config.toml was edited or damaged", &|| {
            edit("config.toml", "\"average\"", "\"max\"");
        }),
        ("run.json was edited or damaged", &|| {
            edit("run.json", "\"seed\": 1", "\"seed\": 2");
        }),
        ("metrics.jsonl is damaged: line 1", &|| {
            edit("metrics.jsonl", "\"queries\":32", "\"queries\":33");
        }),
        ("its training.seed is 2, and the run's is 1", &|| {
            fs::copy(
                directory.path().join("other").join(checkpoint),
                file(checkpoint),
            )
            .unwrap();
        }),
        ("its checksum differs from its contents", &|| {
            let mut bytes = fs::read(file(checkpoint)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(file(checkpoint), bytes).unwrap();
        }),
    ];
    for (expected, fault) in faults {
        fault();
        let before = contents(&directory.path().join("run"));
        let more = ["--set", "training.epochs=2"];
        let message = refusal(directory.path(), &[&RESUME[..], &more].concat());
        assert!(message.contains(expected), "{expected}: {message}");
        if !expected.starts_with("run.json") {
            let message = refusal(directory.path(), &["evaluate", "run"]);
            assert!(message.contains(expected), "{expected}: {message}");
        }
        assert_eq!(
            contents(&directory.path().join("run")),
            before,
            "{expected}"
        );
        for (name, bytes) in &whole {
            fs::write(file(name), bytes).unwrap();
        }
    }
    evaluate(directory.path(), "run", &[]);
}

#[test]
fn network_that_the_last_update_breaks_is_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    // An epoch is one batch, so that no later step of the epoch shows the overflow.
    let one_batch = [
        "--set",
        "data.images_per_class=4",
        "--set",
        "batch.classes=4",
        "--set",
        "batch.images_per_class=4",
    ];
    let train = [&one_batch[..], &["--set", "training.epochs=2"]].concat();
    train_small(directory.path(), "run", &train);
    let good = contents(&directory.path().join("run/checkpoint"));
    let diverging = loop_dml(directory.path())
        .args(RESUME)
        .args(["--set", "training.epochs=6"])
        .args(["--set", "optimizer.learning_rate=1e38"])
        .assert()
        .code(1);
    let message = String::from_utf8(diverging.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("training diverged at epoch 3"),
        "{message}"
    );
    assert!(
        message.contains("--resume --run run --set optimizer.learning_rate=1e-3")
            || message.contains("run --set optimizer.learning_rate=1e-3"),
        "{message}"
    );
    assert_eq!(contents(&directory.path().join("run/checkpoint")), good);
    assert_eq!(metrics(directory.path(), "run").len(), 1 + 2);
    // It continues with a smaller learning rate.
    resume(directory.path(), &["--set", "optimizer.learning_rate=1e-3"]);
    assert_eq!(metrics(directory.path(), "run").len(), 1 + 6);
}

#[test]
fn exploded_parameters_end_the_training() {
    let directory = tempfile::tempdir().unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args(["--set", "optimizer.learning_rate=1e8"])
        .assert()
        .code(1);
    let message = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(message.contains("training diverged"), "{message}");
}

#[test]
fn first_step_that_is_not_finite_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    loop_dml(directory.path())
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args(["--set", "optimizer.learning_rate=1e38"])
        .args(["--set", "model.normalize=false"])
        .args(["--set", "negatives.name=none"])
        .assert()
        .code(1);
    let diverged = contents(&directory.path().join("run/diverged"));
    let step = diverged.keys().find(|name| name.ends_with("step.json"));
    let step: Value = serde_json::from_slice(&diverged[step.unwrap()]).unwrap();
    assert_eq!(step["epoch"], 1);
    // 2 classes of 2 images.
    assert_eq!(step["images"].as_array().unwrap().len(), 4);
    assert!(
        diverged
            .keys()
            .any(|name| name.ends_with("embeddings.safetensors"))
    );
}

#[test]
fn mistake_in_an_override_is_not_blamed_on_the_saved_configuration() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let message = refusal(
        directory.path(),
        &[&RESUME[..], &["--set", "training.epoch=2"]].concat(),
    );
    assert_eq!(
        message.trim_end(),
        "error: unknown key `training.epoch`; did you mean `training.epochs`?"
    );
}

#[test]
fn epochs_below_those_trained_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=3"]);
    let message = refusal(
        directory.path(),
        &[&RESUME[..], &["--set", "training.epochs=2"]].concat(),
    );
    assert!(
        message.contains("the run has trained 3 epochs"),
        "{message}"
    );
}

#[cfg(unix)]
mod processes {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::support::spawnable;

    /// Starts a training that runs until it is stopped, and waits for its third epoch.
    fn start(directory: &Path, run: &str) -> Child {
        let mut child = spawnable(directory)
            .args(["train", "--run", run])
            .args(SMALL)
            .args(["--set", "training.epochs=100000"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for line in &mut lines {
            if line.unwrap().starts_with("epoch      3/") {
                break;
            }
        }
        // Later lines have a reader, too.
        std::thread::spawn(move || lines.for_each(drop));
        child
    }

    fn kill(child: &Child, signal: &str) {
        let id = child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn second_process_is_refused_while_a_run_is_trained() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = start(directory.path(), "run");
        let message = refusal(directory.path(), &RESUME);
        assert!(
            message.contains("is in use by another process"),
            "{message}"
        );
        kill(&first, "-KILL");
        first.wait().unwrap();
        // The lock does not outlive the process.
        let epochs = metrics(directory.path(), "run").len();
        let epochs = format!("training.epochs={epochs}");
        resume(directory.path(), &["--set", &epochs]);
    }

    #[test]
    fn removed_run_folder_ends_the_training_with_one_message() {
        let directory = tempfile::tempdir().unwrap();
        let child = start(directory.path(), "run");
        fs::rename(directory.path().join("run"), directory.path().join("moved")).unwrap();
        let status = child.wait_with_output().unwrap().status;
        assert_eq!(status.code(), Some(1));
        assert!(!directory.path().join("run").exists());
        evaluate(directory.path(), "moved", &[]);
    }

    #[test]
    fn each_signal_saves_the_last_step() {
        let directory = tempfile::tempdir().unwrap();
        for signal in ["-INT", "-TERM", "-HUP"] {
            let run = format!("run{signal}");
            let mut child = start(directory.path(), &run);
            kill(&child, signal);
            assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
            let checkpoints = contents(&directory.path().join(&run).join("checkpoint"));
            let done = metrics(directory.path(), &run).len() - 1;
            let saved = |name: &String| {
                name.starts_with(&format!("epoch-{done}."))
                    || name.starts_with(&format!("epoch-{}-step-", done + 1))
            };
            assert!(
                checkpoints.keys().any(saved),
                "{signal}: {:?}",
                checkpoints.keys()
            );
        }
    }
}
