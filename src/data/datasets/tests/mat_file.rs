use std::fs;

use tempfile::NamedTempFile;

use super::*;

const TRAIN: &[u8] = include_bytes!("../../../../assets/fixtures/cars196/cars_train_annos.mat");
const TEST: &[u8] =
    include_bytes!("../../../../assets/fixtures/cars196/cars_test_annos_withlabels.mat");

/// Distance between damaged bytes. Each panic of the parser takes milliseconds.
const STEP: usize = 5;

fn read(bytes: &[u8]) -> Result<MatFile, ListError> {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    MatFile::read(file.path(), "hint")
}

fn rows(bytes: &[u8]) -> Vec<(Option<usize>, Option<String>)> {
    let file = read(bytes).unwrap();
    let records = file.records("annotations").unwrap();
    let row = |record: Record| (record.number("class"), record.text("fname"));
    records.into_iter().map(row).collect()
}

#[test]
fn numbers_and_strings_are_read_with_and_without_compression_and_of_both_types() {
    let row = |class, name: &str| (Some(class), Some(name.to_string()));
    assert_eq!(
        rows(TRAIN)[..2],
        [row(1, "00001.jpg"), row(99, "00002.jpg")]
    );
    assert_eq!(rows(TEST), [row(196, "00001.jpg"), row(1, "00002.jpg")]);
}

#[test]
fn missing_variables_and_fields_are_none() {
    let file = read(TRAIN).unwrap();
    assert!(file.records("class_names").is_none());
    assert!(file.texts("annotations").is_none());
    let record = file.records("annotations").unwrap()[0];
    assert_eq!(
        (record.number("fname"), record.text("bbox_x9")),
        (None, None)
    );
}

#[test]
fn damaged_files_never_panic() {
    let mut refused = 0;
    for bytes in [TRAIN, TEST] {
        for at in (0..bytes.len()).step_by(STEP) {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0xff;
            for damaged in [&changed, &bytes[..at]] {
                match read(damaged) {
                    Ok(file) => {
                        for record in file.records("annotations").into_iter().flatten() {
                            let _ = (record.number("class"), record.text("fname"));
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    // All truncated files, and changed files unless the change is in a name or number.
    assert!(refused > (TRAIN.len() + TEST.len()) / STEP, "{refused}");
}
