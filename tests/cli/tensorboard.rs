//! The events of a run for TensorBoard, read by a separate reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{metrics, refusal, resume, train_small};

/// CRC-32C bit by bit (reversed polynomial 0x82f63b78).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The data of the records, each with its checksums checked. Nothing may follow the last one.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(number(&bytes[8..]), masked(&bytes[..8]));
        let data = &bytes[12..12 + length];
        assert_eq!(number(&bytes[12 + length..]), masked(data));
        records.push(data.to_vec());
        bytes = &bytes[16 + length..];
    }
    records
}

/// A field of a protocol buffer.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Integer(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                fields.push((key >> 3, Field::Integer(varint(&mut bytes))));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            kind => panic!("wire type {kind}"),
        };
        let (data, rest) = bytes.split_at(length);
        fields.push((key >> 3, Field::Bytes(data.to_vec())));
        bytes = rest;
    }
    fields
}

fn bytes_of(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let found = fields(message)
        .into_iter()
        .filter(|(key, _)| *key == number);
    found
        .map(|(_, field)| match field {
            Field::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The step of an event.
fn step(event: &[u8]) -> u64 {
    let found = fields(event).into_iter().find(|(key, _)| *key == 2);
    match found {
        Some((_, Field::Integer(step))) => step,
        // The default is not written.
        _ => 0,
    }
}

/// The tags of an event with the number of the field that has the data, and the data.
fn values(event: &[u8]) -> BTreeMap<String, (u64, Vec<u8>)> {
    let summary = bytes_of(event, 5).remove(0);
    let values = bytes_of(&summary, 1).into_iter();
    values
        .map(|value| {
            let tag = String::from_utf8(bytes_of(&value, 1).remove(0)).unwrap();
            let kind = [2, 4, 5, 8]
                .into_iter()
                .find(|&kind| !bytes_of(&value, kind).is_empty());
            let data = kind.map(|kind| (kind, bytes_of(&value, kind).remove(0)));
            (tag, data.unwrap_or_default())
        })
        .collect()
}

/// The event file of a run that is not empty; a file that it replaced is empty.
fn event_file(directory: &Path) -> PathBuf {
    let folder = directory.join("run/tensorboard");
    let entries = folder.read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let has_events = |path: &PathBuf| path.metadata().unwrap().len() > 0;
    let mut paths: Vec<PathBuf> = paths.filter(has_events).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

/// Checks that the events have each recorded epoch once, in order, with the scalars of `metrics.jsonl`, and returns
/// the records.
fn check(directory: &Path, epochs: usize) -> Vec<Vec<u8>> {
    let bytes = fs::read(event_file(directory)).unwrap();
    let records = records(&bytes);
    assert_eq!(bytes_of(&records[0], 3), [b"brain.Event:2".to_vec()]);
    let start = bytes_of(&records[1], 7).remove(0);
    assert_eq!(fields(&start), [(1, Field::Integer(1))]);
    assert!(values(&records[2]).contains_key("_hparams_/session_start_info"));
    let lines = metrics(directory, "run");
    assert_eq!((lines.len(), records.len()), (epochs + 1, epochs + 4));
    for (epoch, (record, line)) in records[3..].iter().zip(&lines).enumerate() {
        assert_eq!(step(record), epoch as u64);
        let values = values(record);
        let scalar = |tag: &str| match &values[tag] {
            (2, bytes) => f32::from_le_bytes(bytes.as_slice().try_into().unwrap()),
            other => panic!("{tag}: {other:?}"),
        };
        let same = |tag: &str, value: &Value| {
            assert_eq!(scalar(tag), value.as_f64().unwrap() as f32, "{tag}")
        };
        assert!(scalar("time/epoch_seconds") > 0.0);
        if epoch > 0 {
            same("loss", &line["training"]["loss"]);
            same("lr", &line["training"]["learning_rate"]);
            same("training/d_positive", &line["training"]["d_positive"]);
        }
        assert_eq!(line["recall"].is_object(), values.contains_key("metric/R1"));
        if let Some(at) = line["recall"]["at"].as_object() {
            for (k, share) in at {
                same(&format!("metric/R{k}"), share);
            }
            same("metric/MAP@R", &line["map_at_r"]);
        }
    }
    records
}

#[test]
fn events_are_the_metrics_and_exact_after_a_resume_from_an_earlier_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let checkpoints = ["--set", "training.epochs=4"];
    train_small(directory, "run", &checkpoints);
    let before = check(directory, 4);
    for (epoch, record) in before[3..].iter().enumerate() {
        let values = values(record);
        assert_eq!(values["distance/positive"].0, 5);
        assert_eq!(values["distance/negative"].0, 5);
        if epoch == 0 {
            assert_eq!(values["queries/worst"].0, 4);
            assert_eq!(values["queries/worst_files"].0, 8);
        }
    }
    // The last checkpoint is lost, and the process was killed in the middle of the last record.
    fs::remove_file(directory.join("run/checkpoint/epoch-4.safetensors")).unwrap();
    fs::remove_file(directory.join("run/result.json")).unwrap();
    let path = event_file(directory);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let printed = resume(directory, "run", &["training.epochs=5"]);
    assert!(printed.contains("resumed after epoch 3"), "{printed}");
    let after = check(directory, 5);
    // The file version, the start and the hyper-parameters, and epochs 0 to 3.
    assert_eq!(after[..7], before[..7]);
}

#[test]
fn disabled_run_has_no_events_and_gets_them_when_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let off = [
        "--set",
        "training.epochs=2",
        "--set",
        "training.tensorboard=false",
    ];
    train_small(directory, "run", &off);
    assert!(!directory.join("run/tensorboard").exists());
    let settings = ["training.epochs=3", "training.tensorboard=true"];
    resume(directory, "run", &settings);
    let records = check(directory, 3);
    assert!(!values(&records[5]).contains_key("distance/positive"));
    assert!(values(&records[6]).contains_key("distance/positive"));
}

#[test]
fn events_that_cannot_be_written_are_one_warning() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    train_small(directory, "run", &["--set", "training.epochs=1"]);
    let folder = directory.join("run/tensorboard");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    let printed = resume(directory, "run", &["training.epochs=3"]);
    assert_eq!(
        printed.matches("cannot write TensorBoard's events").count(),
        1,
        "{printed}"
    );
    assert_eq!(metrics(directory, "run").len(), 4);
}

#[test]
fn value_that_is_not_a_switch_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(
        directory.path(),
        &["train", "--set", "training.tensorboard=yes"],
    );
    assert!(
        message.contains("training.tensorboard") && message.contains("true"),
        "{message}"
    );
}
