//! Training and evaluating through the command line.

use std::fs;

use crate::support::{SMALL, draw_folder, evaluate, loop_dml, metrics, resume, train_small};
use serde_json::Value;

#[test]
fn run_folder_is_self_contained_and_can_be_evaluated() {
    let directory = tempfile::tempdir().unwrap();
    let printed = train_small(directory.path(), "run", &["--set", "training.epochs=2"]);
    assert!(printed.contains("untrained"), "{printed}");
    assert!(printed.contains("epoch 2/2"), "{printed}");

    let run = directory.path().join("run");
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["train"]["images"], 32);
    assert_eq!(record["test"]["classes"].as_array().unwrap().len(), 4);
    assert!(record["burn"].as_str().unwrap().starts_with("0.21."));
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(
        config.contains("embedding_dim = 16") && config.contains("weight_decay"),
        "{config}"
    );

    let epochs = metrics(directory.path(), "run");
    assert_eq!(epochs.len(), 3, "the untrained network and two epochs");
    for epoch in &epochs[1..] {
        for key in [
            "loss",
            "d_positive",
            "d_negative",
            "active",
            "mined",
            "anchors",
            "learning_rate",
        ] {
            assert!(epoch["training"][key].is_number(), "{key} in {epoch}");
        }
    }
    let last = evaluate(directory.path(), "run", &["--checkpoint", "last"]);
    assert_eq!(last, epochs[2]["recall"]["at"]);
}

#[test]
fn every_loss_trains_with_all_negatives() {
    let directory = tempfile::tempdir().unwrap();
    for loss in [
        "triplet",
        "hphn-triplet",
        "lifted-structure",
        "n-pair",
        "multi-similarity",
    ] {
        for negatives in ["none", "embedding-expansion", "loop"] {
            let run = format!("{loss}-{negatives}");
            fs::write(
                directory.path().join("recipe.toml"),
                format!("[loss]\nname = \"{loss}\"\n[negatives]\nname = \"{negatives}\"\n"),
            )
            .unwrap();
            let more = ["--config", "recipe.toml", "--set", "training.epochs=1"];
            train_small(directory.path(), &run, &more);
            let epochs = metrics(directory.path(), &run);
            let training = &epochs[1]["training"];
            assert!(
                training["loss"].as_f64().unwrap() > 0.0,
                "{run}: {training}"
            );
            let inner_products = ["n-pair", "multi-similarity"].contains(&loss);
            let key = if inner_products {
                "s_negative"
            } else {
                "d_negative"
            };
            assert!(training[key].is_number(), "{run}: {training}");
            // 2 classes of 4 images, or their pairs.
            let anchors = if negatives == "loop" { 4.0 } else { 8.0 };
            assert_eq!(training["anchors"], anchors, "{run}: {training}");
        }
    }
}

#[test]
fn evaluation_does_not_depend_on_the_batch_size() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let once = evaluate(directory.path(), "run", &[]);
    assert_eq!(evaluate(directory.path(), "run", &[]), once);
    for size in ["1", "7", "32"] {
        assert_eq!(
            evaluate(directory.path(), "run", &["--batch-size", size]),
            once,
            "batch {size}"
        );
    }
}

#[test]
fn same_seed_gives_the_same_numbers_with_any_number_of_workers() {
    let directory = tempfile::tempdir().unwrap();
    let epochs = ["--set", "training.epochs=2"];
    train_small(directory.path(), "a", &epochs);
    train_small(
        directory.path(),
        "b",
        &[&epochs[..], &["--set", "data.workers=1"]].concat(),
    );
    train_small(
        directory.path(),
        "c",
        &[&epochs[..], &["--set", "training.seed=2"]].concat(),
    );
    assert_eq!(
        metrics(directory.path(), "a"),
        metrics(directory.path(), "b")
    );
    assert_ne!(
        metrics(directory.path(), "a"),
        metrics(directory.path(), "c")
    );
}

#[test]
fn resumed_run_equals_the_uninterrupted_one() {
    let directory = tempfile::tempdir().unwrap();
    // The learning rate decays between the parts, so that the schedule matters.
    let decay = ["--set", "optimizer.decay_epochs=[1, 3]"];
    let with = |epochs: &'static str| [&decay[..], &["--set", epochs]].concat();
    train_small(directory.path(), "whole", &with("training.epochs=4"));
    train_small(directory.path(), "resumed", &with("training.epochs=2"));
    loop_dml(directory.path())
        .args([
            "train",
            "--resume",
            "--run",
            "resumed",
            "--set",
            "training.epochs=4",
        ])
        .assert()
        .success();
    assert_eq!(
        metrics(directory.path(), "resumed"),
        metrics(directory.path(), "whole")
    );
    let last = ["--checkpoint", "last"];
    assert_eq!(
        evaluate(directory.path(), "resumed", &last),
        evaluate(directory.path(), "whole", &last)
    );
}

#[test]
fn resumed_run_with_every_option_of_the_head_equals_the_uninterrupted_one() {
    let directory = tempfile::tempdir().unwrap();
    let options = [
        r#"model.pooling=["average", "max", "gem"]"#,
        "model.gem_learned=true",
        "model.embedding_dim=18",
        "model.dropout=0.3",
        "optimizer.backbone_lr_scale=0.5",
    ];
    // Interrupted during the frozen epochs, and after them.
    for (freeze_backbone_epochs, freeze_batch_norm) in [(3, true), (1, false)] {
        let freezing = [
            format!("training.freeze_backbone_epochs={freeze_backbone_epochs}"),
            format!("model.freeze_batch_norm={freeze_batch_norm}"),
        ];
        let with = |epochs: &'static str| {
            let own = freezing.iter().map(String::as_str);
            let options = options.into_iter().chain(own).chain([epochs]);
            options.flat_map(|option| ["--set", option]).collect()
        };
        let [whole, resumed] =
            ["whole", "resumed"].map(|name| format!("{name}-{freeze_backbone_epochs}"));
        let train =
            |run: &str, arguments: Vec<&str>| train_small(directory.path(), run, &arguments);
        train(&whole, with("training.epochs=4"));
        train(&resumed, with("training.epochs=2"));
        resume(directory.path(), &resumed, &["training.epochs=4"]);
        assert_eq!(
            metrics(directory.path(), &resumed),
            metrics(directory.path(), &whole)
        );
        let last = ["--checkpoint", "last"];
        assert_eq!(
            evaluate(directory.path(), &resumed, &last),
            evaluate(directory.path(), &whole, &last)
        );
    }
}

#[test]
fn options_of_the_head_affect_training_and_are_saved_with_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let epochs = ["--set", "training.epochs=1"];
    train_small(directory.path(), "plain", &epochs);
    let plain = metrics(directory.path(), "plain");
    for option in [
        "model.pooling=gem",
        "model.dropout=0.5",
        "model.freeze_batch_norm=true",
        "optimizer.backbone_lr_scale=0.1",
        "training.freeze_backbone_epochs=1",
    ] {
        let (key, value) = option.split_once('=').unwrap();
        train_small(
            directory.path(),
            key,
            &[&epochs[..], &["--set", option]].concat(),
        );
        let changed = metrics(directory.path(), key);
        assert_ne!(changed[1]["training"], plain[1]["training"], "{option}");
        let config = fs::read_to_string(directory.path().join(key).join("config.toml")).unwrap();
        let value = value.replace("gem", "\"gem\"");
        let line = format!("{} = {value}\n", key.split('.').next_back().unwrap());
        assert!(config.contains(&line), "{line} in {config}");
    }
}

#[test]
fn only_the_last_two_and_the_best_checkpoint_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=5"]);
    let checkpoints = directory.path().join("run/checkpoint");
    let files = fs::read_dir(checkpoints).unwrap().count();
    assert!(files == 2 || files == 3, "{files} files");
}

#[test]
fn validation_runs_every_n_epochs_and_after_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let more = [
        "--set",
        "training.epochs=5",
        "--set",
        "training.validate_every=2",
    ];
    train_small(directory.path(), "run", &more);
    let measured: Vec<bool> = metrics(directory.path(), "run")
        .iter()
        .map(|epoch| epoch["recall"].is_object())
        .collect();
    assert_eq!(measured, [true, false, true, false, true, true]);
}

#[test]
fn negatives_none_soft_margin_and_sum_train_too() {
    let directory = tempfile::tempdir().unwrap();
    let more = [
        "--set",
        "training.epochs=1",
        "--set",
        "negatives.name=none",
        "--set",
        "loss.soft_margin=true",
        "--set",
        "loss.reduction=sum",
        "--set",
        "model.normalize=false",
    ];
    train_small(directory.path(), "run", &more);
    evaluate(directory.path(), "run", &[]);
}

#[test]
fn folder_of_images_trains_and_evaluates() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 6, 5);
    loop_dml(directory.path())
        .args(["train", "--run", "run", "--set", "data.dataset=folder"])
        .args(["--set", "data.root=photos", "--set", "training.epochs=1"])
        .args([
            "--set",
            "batch.classes=3",
            "--set",
            "batch.images_per_class=2",
            "--set",
            "evaluation.protocol=published",
        ])
        .assert()
        .success();
    let recall = evaluate(directory.path(), "run", &["--recall", "1,14"]);
    // 15 test images: each finds its class among the 14 others.
    assert_eq!(recall["14"], 1.0);
}

#[test]
fn default_run_folder_is_the_next_free_one() {
    let directory = tempfile::tempdir().unwrap();
    for number in 1..=2 {
        loop_dml(directory.path())
            .arg("train")
            .args(SMALL)
            .args(["--set", "training.epochs=1"])
            .assert()
            .success();
        let made = directory
            .path()
            .join(format!("artifacts/quickstart-{number}/config.toml"));
        assert!(made.is_file());
    }
}

#[cfg(unix)]
#[test]
fn interrupted_run_names_the_command_that_resumes_it() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("loop-dml"))
        .current_dir(directory.path())
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args(["--set", "training.epochs=100000"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch      3/") {
        line.clear();
        assert!(
            lines.read_line(&mut line).unwrap() > 0,
            "ended before epoch 3"
        );
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.contains("loop-dml train --resume --run run"), "{rest}");

    let before = metrics(directory.path(), "run");
    let done = before.last().unwrap()["epoch"].as_u64().unwrap();
    let more = format!("training.epochs={}", done + 1);
    resume(directory.path(), "run", &[&more]);
    let after = metrics(directory.path(), "run");
    assert_eq!(after.last().unwrap()["epoch"].as_u64().unwrap(), done + 1);
}

#[test]
fn benchmarks_print_the_keys_that_scripts_read() {
    let directory = tempfile::tempdir().unwrap();
    let keys = |arguments: &[&str]| -> Vec<String> {
        let output = loop_dml(directory.path())
            .arg("bench")
            .args(arguments)
            .args(["--repeats", "1", "--json"])
            .assert()
            .success()
            .get_output()
            .clone();
        let timing: serde_json::Map<String, Value> =
            serde_json::from_slice(&output.stdout).unwrap();
        for (key, value) in &timing {
            // The CPU uploads nothing. A small forward pass may fit into memory that was freed before.
            let may_be_zero = key == "activation_mib_per_image";
            let uploads = key == "upload_bytes";
            let right = |number: f64| match may_be_zero {
                true => number >= 0.0,
                false => (number > 0.0) != uploads,
            };
            assert!(value.as_f64().is_none_or(right), "{key} = {value}");
        }
        timing.keys().cloned().collect()
    };
    assert_eq!(
        keys(&["loss", "--batch", "8", "--dim", "4"]),
        [
            "anchors",
            "loss",
            "milliseconds",
            "negatives",
            "pairs",
            "peak_mib"
        ]
    );
    let step: Vec<&str> = "step --backbone conv4 --batch 4 --size 16"
        .split(' ')
        .collect();
    let step = keys(&step);
    // A head on features.
    let head: Vec<&str> = "step --backbone none --batch 64 --features 96"
        .split(' ')
        .collect();
    assert_eq!(keys(&head), step);
    assert_eq!(
        step,
        [
            "activation_mib_per_image",
            "backward_gflop",
            "backward_gflop_per_second",
            "backward_ms",
            "forward_gflop",
            "forward_gflop_per_second",
            "forward_ms",
            "images_per_second",
            "optimizer_ms",
            "peak_mib",
            "step_ms",
            "training_forward_gflop_per_second",
            "training_forward_ms",
            "upload_bytes"
        ]
    );
}

#[test]
fn diverging_training_stops_and_names_epoch_and_step() {
    let directory = tempfile::tempdir().unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--run", "run"])
        .args(SMALL)
        .args([
            "--set",
            "optimizer.learning_rate=1e38",
            "--set",
            "model.normalize=false",
        ])
        .args(["--set", "negatives.name=none"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("training diverged at epoch 1") && message.contains("is infinite or NaN"),
        "{message}"
    );
}
