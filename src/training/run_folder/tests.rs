//! Run folders written, read back and damaged.

use super::checkpoints::CHECKPOINTS;
use super::*;
use crate::evaluation::Recall;

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
        seed: 1,
        parameters: 1,
        train: split.clone(),
        test: split,
        coverage: None,
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
        seconds: 0.5,
    }
}

fn new_run() -> (tempfile::TempDir, RunFolder) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let folder = RunFolder::create(Some(&path), "", &Config::default(), &record()).unwrap();
    (parent, folder)
}

fn add_checkpoint(folder: &RunFolder, epoch: usize, parts: &[&str]) {
    let checkpoints = folder.path().join(CHECKPOINTS);
    fs::create_dir_all(&checkpoints).unwrap();
    for part in parts {
        fs::write(checkpoints.join(format!("{part}-{epoch}.mpk")), "").unwrap();
    }
}

const WHOLE: [&str; 3] = ["model", "optim", "scheduler"];

#[test]
fn folder_that_is_not_empty_is_refused() {
    let (_parent, folder) = new_run();
    let again = RunFolder::create(Some(folder.path()), "", &Config::default(), &record());
    assert!(matches!(again, Err(RunFolderError::Exists { .. })));
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
fn checkpoints_are_found_by_name_and_number() {
    let (_parent, folder) = new_run();
    for (number, recall) in [(0, 0.9), (1, 0.2), (2, 0.6), (3, 0.6), (4, 0.8)] {
        folder.append(&epoch(number, Some(recall))).unwrap();
    }
    add_checkpoint(&folder, 2, &WHOLE);
    add_checkpoint(&folder, 3, &WHOLE);
    add_checkpoint(&folder, 4, &WHOLE[..2]);
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
