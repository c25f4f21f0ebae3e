use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use burn::backend::Autodiff;

use super::*;
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;

use crate::config::Protocol;
use crate::data::{self, Transform, UploadMode};
use crate::distribution::ProcessGroup;
use crate::model::ConvAlgorithm;
use crate::progress::NoProgress;
use crate::training::{resume, train};

type AB = Autodiff<burn_flex::Flex>;

/// Eight drawn classes, a network with batch norms, dropout and augmentation.
fn config(overrides: &[&str]) -> Config {
    let small = [
        "data.classes=12",
        "data.images_per_class=6",
        "batch.classes=2",
        "model.embedding_dim=8",
        "model.dropout=0.2",
        "data.image_size=16",
        "data.resize=18",
        "training.epochs=2",
        "training.validate_every=1",
    ];
    let overrides: Vec<String> = small
        .iter()
        .chain(overrides)
        .map(ToString::to_string)
        .collect();
    Config::quickstart(&overrides).unwrap()
}

fn compute() -> ComputeContext<AB> {
    ComputeContext {
        device: Default::default(),
        conv: ConvAlgorithm::Im2col,
        in_process: true,
        upload: UploadMode::Normalized,
    }
}

/// Calls `work` with a context.
fn within<T>(work: impl FnOnce(&RunContext<AB>) -> T) -> T {
    work(&RunContext {
        compute: &compute(),
        observer: Arc::new(NoProgress),
        cancellation: &CancellationToken::new(),
        group: ProcessGroup::single(),
    })
}

/// The bytes of every file of a folder, without the times in `metrics.jsonl`.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = contents(&path).into_iter();
            files.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name != "metrics.jsonl" && !name.contains("tfevents") {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn check<'a>(dry: &'a DryRun, name: &str) -> &'a Check {
    let found = dry.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name} in {:?}", dry.checks))
}

#[test]
fn training_after_a_dry_run_has_bit_identical_checkpoints() {
    let parent = tempfile::tempdir().unwrap();
    let [alone, after] = ["alone", "after"].map(|name| parent.path().join(name));
    let config = config(&[]);
    within(|context| {
        train(&config, Some(&alone), "x", context).unwrap();
        let dry = dry_run(&config, Some(&after), "x", context).unwrap();
        assert!(dry.is_ok(), "{:?}", dry.checks);
        assert!(!after.exists());
        train(&config, Some(&after), "x", context).unwrap();
    });
    assert_eq!(contents(&alone), contents(&after));
}

#[test]
fn dry_run_of_a_resume_changes_nothing_and_names_the_epoch() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let more = ["training.epochs=3".to_string()];
    within(|context| {
        train(&config(&[]), Some(&run), "x", context).unwrap();
        let before = contents(&run);
        let dry = dry_run_resume(&run, &more, context).unwrap();
        assert!(dry.is_ok(), "{:?}", dry.checks);
        assert_eq!(check(&dry, "checkpoint").message, "resumes after epoch 2");
        assert!(dry.estimate.seconds_per_epoch.unwrap() > 0.0);
        let finished = dry_run_resume(&run, &[], context).unwrap();
        assert!(check(&finished, "checkpoint").message.contains("finished"));
        assert_eq!(contents(&run), before);

        resume(RunFolder::open(&run).unwrap(), &more, context).unwrap();
        let uninterrupted = parent.path().join("uninterrupted");
        train(
            &config(&["training.epochs=3"]),
            Some(&uninterrupted),
            "x",
            context,
        )
        .unwrap();
    });
    let last = "checkpoint/epoch-3.safetensors";
    let uninterrupted = contents(&parent.path().join("uninterrupted"));
    assert_eq!(contents(&run)[last], uninterrupted[last]);
}

#[test]
fn estimated_size_of_a_checkpoint_is_that_of_the_file() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let dry = within(|context| {
        let config = config(&["training.epochs=1", "training.tensorboard=false"]);
        let dry = dry_run(&config, Some(&run), "x", context).unwrap();
        train(&config, Some(&run), "x", context).unwrap();
        dry
    });
    let file = run.join("checkpoint/epoch-1.safetensors");
    let bytes = file.metadata().unwrap().len() as f64;
    // Two that are kept, the best and the one being written.
    let estimate = dry.estimate.disk_bytes.unwrap() as f64 / 4.0;
    assert!(
        (estimate / bytes - 1.0).abs() < 0.02,
        "{estimate} and {bytes}"
    );
}

#[test]
fn all_checks_that_can_be_made_are_reported() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("thesis.txt"), "precious").unwrap();
    let mut config = config(&["model.weights=missing.pth", "batch.classes=1000"]);
    config.evaluation.protocol = Protocol::Published;
    let dry = within(|context| dry_run(&config, Some(&run), "x", context)).unwrap();
    assert!(!dry.is_ok());
    for (name, outcome, part) in [
        ("configuration", CheckOutcome::Passed, "2 epochs"),
        ("run folder", CheckOutcome::Failed, "already exists"),
        ("weights", CheckOutcome::Failed, "missing.pth"),
        (
            "data",
            CheckOutcome::Passed,
            "36 images of 6 classes (6 each) train",
        ),
        ("batch", CheckOutcome::Failed, "batch.classes"),
        ("loss", CheckOutcome::Passed, "anchors"),
        ("disk", CheckOutcome::Passed, "for 4 checkpoints"),
    ] {
        let check = check(&dry, name);
        assert_eq!(check.outcome, outcome, "{check:?}");
        assert!(check.message.contains(part), "{check:?}");
    }
    assert!(dry.checks.iter().all(|check| check.name != "step"));
    assert_eq!(dry.estimate.seconds_per_epoch, None);
}

#[test]
fn classes_with_fewer_images_than_a_batch_needs_are_warned_of() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let config = config(&["batch.images_per_class=8"]);
    let dry = within(|context| dry_run(&config, Some(&run), "x", context)).unwrap();
    assert!(dry.is_ok(), "{:?}", dry.checks);
    let batch = check(&dry, "batch");
    assert_eq!(batch.outcome, CheckOutcome::Warning);
    assert!(
        batch.message.contains("have fewer than 8 images")
            && batch.message.contains("batch.images_per_class = 6 or less"),
        "{batch:?}"
    );
}

#[test]
fn cancelled_dry_run_is_cancelled() {
    let cancellation = CancellationToken::new();
    cancellation.cancel();
    let context = RunContext {
        compute: &compute(),
        observer: Arc::new(NoProgress),
        cancellation: &cancellation,
        group: ProcessGroup::single(),
    };
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let result = dry_run(&config(&[]), Some(&run), "x", &context);
    assert!(matches!(
        result,
        Err(TrainingError::Cancelled { run: None })
    ));
}

#[test]
fn remaining_work_counts_validations_and_steps() {
    let mut config = Config::default();
    config.training.epochs = 10;
    config.training.validate_every = 4;
    config.evaluation.protocol = Protocol::Published;
    config.data.source = crate::data::config::DatasetConfig::Synthetic(Default::default());
    let transform = Transform::new(&config.data.transform).unwrap();
    let token = CancellationToken::new();
    let splits = data::open(&config.data, None, &transform, &token, &NoProgress).unwrap();
    let images = splits.test.labels().len();
    let work = |position| RemainingWork::new(&config, position, 5, &splits);
    assert_eq!(
        work(CheckpointPosition::end_of(0)),
        RemainingWork {
            epochs: 10,
            steps: 50,
            // After epochs 4, 8 and 10.
            validation_images: 3 * images,
            other_images: images,
        }
    );
    assert_eq!(
        work(CheckpointPosition::within(6, 2)),
        RemainingWork {
            epochs: 5,
            steps: 23,
            validation_images: 2 * images,
            other_images: 0,
        }
    );
}
