//! Run folders written, read back and damaged.

use super::*;
use crate::config::Protocol;
use crate::evaluation::Recall;
use crate::training::checkpoint::{CheckpointFile, CheckpointHeader, CheckpointPosition};

fn record() -> RunRecord {
    let split = SplitSummary {
        images: 4,
        classes: vec!["a".into(), "b".into()],
        files: None,
        queries: None,
        gallery: None,
    };
    RunRecord {
        loop_dml: "0".into(),
        burn: "0".into(),
        backend: "cpu".into(),
        threads: Some(2),
        processes: None,
        seed: 1,
        precision: Default::default(),
        parameters: 1,
        weights: Vec::new(),
        protocol: Protocol::Validated,
        train: split.clone(),
        validation: Some(split.clone()),
        validation_source: None,
        test: split,
        coverage: None,
        config: None,
        changes: Vec::new(),
        skipped: Vec::new(),
    }
}

fn epoch(epoch: usize, at_1: Option<f64>) -> EpochRecord {
    EpochRecord {
        epoch,
        training: Default::default(),
        recall: at_1.map(|share| Recall {
            at: [(1, share)].into(),
            queries: 4,
        }),
        map_at_r: at_1.map(|share| share / 2.0),
        seconds: 0.5,
    }
}

fn new_run() -> (tempfile::TempDir, RunFolder) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let folder = NewRunFolder::create(Some(&path), "").unwrap();
    let run = folder.begin(&Config::default(), &record()).unwrap();
    folder.keep();
    (parent, run)
}

fn checkpoint(position: CheckpointPosition) -> CheckpointFile {
    CheckpointFile {
        header: CheckpointHeader::new(position, String::new()),
        tensors: Default::default(),
    }
}

fn positions(folder: &RunFolder) -> Vec<String> {
    let stored = folder.stored_checkpoints().into_iter();
    stored
        .map(|checkpoint| checkpoint.position().to_string())
        .collect()
}

#[test]
fn folder_that_is_not_empty_is_refused() {
    let (_parent, folder) = new_run();
    let again = NewRunFolder::create(Some(folder.path()), "");
    assert!(matches!(again, Err(RunFolderError::Exists { .. })));
}

#[test]
fn folder_of_another_process_is_refused_and_not_changed() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let first = NewRunFolder::create(Some(&path), "").unwrap();
    let second = NewRunFolder::create(Some(&path), "");
    assert!(matches!(second, Err(RunFolderError::Locked { .. })));
    let folder = first.begin(&Config::default(), &record()).unwrap();
    first.keep();
    let resumed = RunFolder::open(&path).unwrap().locked();
    assert!(matches!(resumed, Err(RunFolderError::Locked { .. })));
    drop(folder);
    RunFolder::open(&path).unwrap().locked().unwrap();
}

#[test]
fn folder_of_a_run_that_does_not_begin_is_removed() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    drop(NewRunFolder::create(Some(&path), "").unwrap());
    assert!(!path.exists());
    // So are the folders above it that did not exist.
    let below = parent.path().join("runs/today/run");
    drop(NewRunFolder::create(Some(&below), "").unwrap());
    assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    // A folder that existed remains, and is free.
    fs::create_dir(&path).unwrap();
    drop(NewRunFolder::create(Some(&path), "").unwrap());
    assert_eq!(path.read_dir().unwrap().count(), 0);
}

#[test]
fn folder_of_a_process_that_was_killed_before_its_run_began_is_free() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    fs::create_dir(&path).unwrap();
    fs::write(path.join(lock::LOCK), "").unwrap();
    fs::write(path.join(CONFIG), seal::seal_toml("[model]\n")).unwrap();
    RunFolder::check_free(&path).unwrap();
    // A configuration of the user is not overwritten.
    fs::write(path.join(CONFIG), "[model]\n").unwrap();
    assert!(RunFolder::check_free(&path).is_err());
}

#[test]
fn edited_files_are_refused() {
    let (_parent, folder) = new_run();
    for (name, from, to) in [
        (CONFIG, "embedding_dim = 64", "embedding_dim = 32"),
        (RECORD, "\"seed\": 1", "\"seed\": 2"),
    ] {
        let path = folder.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let result = match name {
            CONFIG => folder.config(&[]).map(drop),
            _ => folder.record().map(drop),
        };
        assert!(
            matches!(result, Err(RunFolderError::Edited { .. })),
            "{name}"
        );
    }
}

#[test]
fn run_reads_back_what_was_written() {
    let (_parent, folder) = new_run();
    let folder = RunFolder::open(folder.path()).unwrap();
    assert_eq!(folder.config(&[]).unwrap(), Config::default());
    assert_eq!(folder.record().unwrap(), record());
    let epochs = [epoch(0, Some(0.25)), epoch(1, None)];
    epochs
        .iter()
        .for_each(|epoch| folder.append(epoch).unwrap());
    assert_eq!(folder.history().unwrap(), epochs);
}

#[test]
fn line_cut_off_at_the_end_is_left_out_and_in_the_middle_is_damage() {
    let (_parent, folder) = new_run();
    folder.append(&epoch(0, None)).unwrap();
    let path = folder.path().join(METRICS);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"epoch\": 1,")).unwrap();
    assert_eq!(folder.history().unwrap().len(), 1);
    fs::write(&path, format!("{{\"epoch\": 1,\n{whole}")).unwrap();
    assert!(matches!(
        folder.history(),
        Err(RunFolderError::Damaged { .. })
    ));
}

#[test]
fn flipped_digit_in_the_metrics_is_damage() {
    let (_parent, folder) = new_run();
    for number in 0..3 {
        folder.append(&epoch(number, Some(0.25))).unwrap();
    }
    let path = folder.path().join(METRICS);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("0.25", "0.75", 1)).unwrap();
    let message = folder.history().unwrap_err().to_string();
    assert!(
        message.contains("line 1: its checksum differs"),
        "{message}"
    );
}

#[test]
fn missing_line_in_the_metrics_is_damage() {
    let (_parent, folder) = new_run();
    for number in [0, 2] {
        folder.append(&epoch(number, None)).unwrap();
    }
    let message = folder.history().unwrap_err().to_string();
    assert!(message.contains("line 2 is epoch 2"), "{message}");
}

#[test]
fn line_that_cannot_be_appended_leaves_no_part() {
    let (_parent, folder) = new_run();
    folder.append(&epoch(0, None)).unwrap();
    fs::remove_file(folder.path().join(METRICS)).unwrap();
    // The epochs before it are lost, so it must not begin a new file.
    assert!(folder.append(&epoch(1, None)).is_err());
    assert!(!folder.path().join(METRICS).exists());
}

#[test]
fn metrics_are_read_back_exactly() {
    let (_parent, folder) = new_run();
    let mut record = epoch(0, Some(1.0 / 3.0));
    record.seconds = 0.1 + 0.2;
    record.training.insert("loss".into(), 5e-324);
    record
        .training
        .insert("d_positive".into(), 0.123_456_789_012_345_68);
    folder.append(&record).unwrap();
    let text = fs::read_to_string(folder.path().join(METRICS)).unwrap();
    let history = folder.history().unwrap();
    assert_eq!(history, [record]);
    folder.replace_history(&history).unwrap();
    let again = fs::read_to_string(folder.path().join(METRICS)).unwrap();
    assert_eq!(again, text);
}

#[test]
fn checkpoints_are_found_by_name_and_number() {
    let (_parent, folder) = new_run();
    for (number, recall) in [(0, 0.9), (1, 0.2), (2, 0.6), (3, 0.6), (4, 0.8)] {
        folder.append(&epoch(number, Some(recall))).unwrap();
    }
    for position in [
        CheckpointPosition::end_of(2),
        CheckpointPosition::end_of(3),
        CheckpointPosition::within(4, 2),
    ] {
        folder.save(&checkpoint(position)).unwrap();
        assert_eq!(folder.read(position).unwrap().header.position(), position);
    }
    assert_eq!(folder.checkpoint(Checkpoint::Best).unwrap(), 2);
    assert_eq!(folder.checkpoint(Checkpoint::Last).unwrap(), 3);
    assert_eq!(folder.checkpoint(Checkpoint::Epoch(3)).unwrap(), 3);
    let message = folder
        .checkpoint(Checkpoint::Epoch(4))
        .unwrap_err()
        .to_string();
    assert!(
        message.ends_with("no checkpoint of epoch 4; available: epochs 2, 3"),
        "{message}"
    );
}

#[test]
fn renamed_checkpoint_is_refused() {
    let (_parent, folder) = new_run();
    folder
        .save(&checkpoint(CheckpointPosition::end_of(2)))
        .unwrap();
    let checkpoints = folder.checkpoint_folder();
    fs::rename(
        checkpoints.join("epoch-2.safetensors"),
        checkpoints.join("epoch-9.safetensors"),
    )
    .unwrap();
    let error = folder.read(CheckpointPosition::end_of(9)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is the checkpoint of epoch 2")
    );
}

#[test]
fn last_checkpoints_and_the_best_are_kept() {
    let (_parent, folder) = new_run();
    for position in [
        CheckpointPosition::end_of(1),
        CheckpointPosition::end_of(2),
        CheckpointPosition::within(3, 5),
        CheckpointPosition::end_of(3),
        CheckpointPosition::end_of(4),
        // Damaged, left by a run that was resumed from an earlier one.
        CheckpointPosition::end_of(9),
    ] {
        folder.save(&checkpoint(position)).unwrap();
    }
    folder
        .prune(CheckpointPosition::end_of(4), 2, Some(1), |_| true)
        .unwrap();
    assert_eq!(
        positions(&folder),
        ["epoch 1", "epoch 3", "epoch 4", "epoch 9"]
    );
    let within = CheckpointPosition::within(5, 1);
    folder.save(&checkpoint(within)).unwrap();
    folder.prune(within, 1, Some(1), |_| true).unwrap();
    assert_eq!(
        positions(&folder),
        ["epoch 1", "epoch 4", "epoch 5, step 1", "epoch 9"]
    );
}

#[test]
fn checkpoints_of_interruptions_do_not_replace_scheduled_ones() {
    let (_parent, folder) = new_run();
    let save = |epoch| folder.save(&checkpoint(CheckpointPosition::end_of(epoch)));
    let prune = |epoch| {
        let position = CheckpointPosition::end_of(epoch);
        folder.prune(position, 2, None, |epoch| epoch.is_multiple_of(5))
    };
    for epoch in [5, 10, 12, 13] {
        save(epoch).unwrap();
    }
    prune(13).unwrap();
    assert_eq!(positions(&folder), ["epoch 5", "epoch 10", "epoch 13"]);
    save(15).unwrap();
    prune(15).unwrap();
    assert_eq!(positions(&folder), ["epoch 10", "epoch 15"]);
    // Before the second scheduled one, others are kept as well.
    let (_parent, folder) = new_run();
    for epoch in [1, 2, 3] {
        folder
            .save(&checkpoint(CheckpointPosition::end_of(epoch)))
            .unwrap();
    }
    folder
        .prune(CheckpointPosition::end_of(3), 2, None, |_| false)
        .unwrap();
    assert_eq!(positions(&folder), ["epoch 2", "epoch 3"]);
}
