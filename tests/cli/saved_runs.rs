//! A run folder that version 0.1.0 wrote, before configuration keys were renamed, still evaluates,
//! resumes and exports.
//!
//! `assets/fixtures/run-0.1` was made by that version with:
//!
//! ```text
//! loop-dml train --run run-0.1 --set data.classes=8 --set data.images_per_class=4 \
//!     --set batch.classes=2 --set batch.images_per_class=2 --set data.image_size=16 \
//!     --set data.resize=18 --set data.test_view=center-crop --set data.reduced_decoding=false \
//!     --set model.embedding_dim=8 --set loss.name=triplet --set loss.margin=0.2 \
//!     --set loss.triplets=drawn --set optimizer.backbone_factor=0.5 \
//!     --set training.freeze_epochs=1 --set training.epochs=1 --set training.validate_every=1
//! ```
//!
//! The expected numbers are what that version printed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{evaluate, loop_dml, metrics};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}

/// A temporary folder with a copy of the run in `run`.
fn with_run() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/run-0.1");
    copy(&fixture, &directory.path().join("run"));
    directory
}

fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = loop_dml(directory).args(arguments).assert().success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

#[test]
fn saved_run_evaluates_without_a_warning() {
    let directory = with_run();
    let recall = evaluate(directory.path(), "run", &[]);
    assert_eq!(
        recall,
        json!({ "1": 0.125, "2": 0.4375, "4": 0.8125, "8": 0.9375 })
    );
    let text = printed(directory.path(), &["evaluate", "run"]);
    assert!(!text.contains("warning"), "{text}");
}

#[test]
fn saved_run_resumes_as_the_version_that_wrote_it() {
    let directory = with_run();
    let resume = ["train", "--resume", "--run", "run"];
    printed(
        directory.path(),
        &[&resume[..], &["--set", "training.epochs=3"]].concat(),
    );
    let epochs = metrics(directory.path(), "run");
    let expected = [
        (0.5100035667419434, [0.25, 0.5, 0.75, 0.9375]),
        (0.5160952061414719, [0.3125, 0.5, 0.75, 1.0]),
    ];
    for (epoch, (loss, recall)) in epochs[2..].iter().zip(expected) {
        let found = epoch["training"]["loss"].as_f64().unwrap();
        // Sums of f32 depend on the machine's threads and vector units.
        assert!((found - loss).abs() < 1e-4 * loss, "{found} for {loss}");
        for (k, expected) in [1, 2, 4, 8].into_iter().zip(recall) {
            assert_eq!(epoch["recall"]["at"][k.to_string()], expected, "{epoch}");
        }
    }
    // The configuration is saved again, with the present names.
    let config = fs::read_to_string(directory.path().join("run/config.toml")).unwrap();
    assert!(config.contains("backbone_lr_scale = 0.5"), "{config}");
    assert!(config.contains("freeze_backbone_epochs = 1"), "{config}");
}

#[test]
fn saved_run_exports() {
    let directory = with_run();
    printed(
        directory.path(),
        &["export", "run", "--output", "embedder.safetensors"],
    );
    let description = fs::read(directory.path().join("embedder.json")).unwrap();
    let description: Value = serde_json::from_slice(&description).unwrap();
    assert!(description.is_object());
}

#[test]
fn former_key_warns_and_names_the_present_one() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("old.toml"),
        "[optimizer]\nbackbone_factor = 0.5\n[data]\nclasses = 8\nimages_per_class = 4\n\
         image_size = 16\n[batch]\nclasses = 2\n[training]\nepochs = 1\n",
    )
    .unwrap();
    let text = printed(
        directory.path(),
        &["train", "--config", "old.toml", "--run", "run"],
    );
    let warning = "warning: old.toml: `optimizer.backbone_factor` is now \
                   `optimizer.backbone_lr_scale`; rename it";
    assert!(text.lines().any(|line| line == warning), "{text}");
}
