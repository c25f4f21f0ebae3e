//! Event files that are continued, truncated, damaged or cannot be written.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use prost::Message;

use super::messages::{Data, Event, What};
use super::record::{Next, read_record};
use super::*;
use crate::data::{ImageError, Images};
use crate::evaluation::Recall;
use crate::training::validation::Near;

/// Records before that of epoch 0.
const HEADER: usize = 3;

fn record(epoch: usize) -> EpochRecord {
    let loss = 1.0 / (1 + epoch) as f64;
    let training = [("loss", loss), ("learning_rate", 1e-4), ("active", 50.0)];
    let training = training.map(|(key, value)| (key.to_string(), value));
    EpochRecord {
        epoch,
        training: match epoch {
            0 => Default::default(),
            _ => training.into(),
        },
        recall: Some(Recall {
            at: [(1, 0.1 * epoch as f64), (2, 0.5)].into(),
            queries: 4,
        }),
        map_at_r: Some(0.125),
        seconds: 0.25,
    }
}

fn history(last: usize) -> Vec<EpochRecord> {
    (0..=last).map(record).collect()
}

fn inspection() -> Inspection {
    let near = |image| Near {
        image,
        distance: 0.5,
    };
    Inspection {
        positive: vec![0.25, 0.5],
        negative: vec![0.75],
        worst: vec![WorstQuery {
            query: 0,
            rank: 2,
            positive: near(1),
            negative: near(2),
        }],
    }
}

/// Grey images, of which the last cannot be read.
struct Drawings;

impl Images for Drawings {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        match index {
            2 => Err(ImageError::Unreadable {
                path: "2.png".into(),
                reason: "it was removed".into(),
            }),
            _ => Ok(RgbImage::new(20, 30)),
        }
    }

    fn name(&self, index: usize) -> String {
        format!("image {index}")
    }
}

struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A run with the epochs up to `last`, all of them inspected.
    fn with_epochs(last: usize) -> Self {
        let run = Self::new();
        let file = run.open(&[]);
        for record in history(last) {
            let summary = summary(&record, Some(&inspection()), None);
            file.append(record.epoch, summary).unwrap();
        }
        run
    }

    fn open(&self, history: &[EpochRecord]) -> EventFile {
        let config = Config::quickstart(&[]).unwrap();
        EventFile::open(self.folder.path(), &hyper_parameters(&config), history).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The file with events; one before it may be empty.
    fn path(&self) -> PathBuf {
        let names = self.names();
        let paths = names.iter().map(|name| self.folder.path().join(name));
        let mut paths: Vec<PathBuf> = paths.collect();
        assert!(paths.len() <= 2, "{names:?}");
        let last = paths.pop().unwrap();
        for path in paths {
            assert_eq!(path.metadata().unwrap().len(), 0, "{names:?}");
        }
        last
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn events(&self) -> Vec<Event> {
        events(&self.bytes())
    }

    /// Checks that there is a record for each epoch up to `last`, in order. Returns whether each has
    /// histograms.
    fn have_histograms(&self, last: usize) -> Vec<bool> {
        let events = self.events();
        assert_eq!(
            events[0].what,
            Some(What::FileVersion("brain.Event:2".into()))
        );
        let steps: Vec<i64> = events[HEADER..].iter().map(|event| event.step).collect();
        assert_eq!(steps, (0..=last as i64).collect::<Vec<_>>());
        let mut found = Vec::new();
        for (event, record) in events[HEADER..].iter().zip(history(last)) {
            let Some(What::Summary(summary)) = &event.what else {
                panic!("{event:?}");
            };
            let value = |tag: &str| {
                let value = summary.values.iter().find(|value| value.tag == tag);
                value.and_then(|value| value.data.clone())
            };
            let at_1 = record.recall.unwrap().at_1() as f32;
            assert_eq!(value("metric/R1"), Some(Data::Scalar(at_1)));
            let loss = record.training.get("loss");
            let loss = loss.map(|&loss| Data::Scalar(loss as f32));
            assert_eq!(value("loss"), loss);
            found.push(value("distance/positive").is_some());
        }
        found
    }
}

fn events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Next::Record(data) = read_record(&mut bytes).unwrap() {
        events.push(Event::decode(data.as_slice()).unwrap());
    }
    events
}

/// The number of bytes of the first `count` records.
fn length(bytes: &[u8], count: usize) -> usize {
    let mut rest = bytes;
    for _ in 0..count {
        assert!(matches!(read_record(&mut rest).unwrap(), Next::Record(_)));
    }
    bytes.len() - rest.len()
}

#[test]
fn resuming_keeps_the_bytes_of_earlier_epochs_and_drops_later_ones() {
    for epoch in 0..=5 {
        let run = Run::with_epochs(5);
        let before = run.bytes();
        let file = run.open(&history(epoch));
        assert_eq!(run.bytes(), before[..length(&before, HEADER + epoch + 1)]);
        assert_eq!(run.have_histograms(epoch), vec![true; epoch + 1]);
        file.append(epoch + 1, summary(&record(epoch + 1), None, None))
            .unwrap();
        assert_eq!(run.have_histograms(epoch + 1).len(), epoch + 2);
    }
}

#[test]
fn file_that_agrees_is_continued_and_another_gets_the_next_number() {
    let run = Run::with_epochs(3);
    let path = run.path();
    run.open(&history(3));
    assert_eq!(run.path(), path);
    assert_eq!(run.names().len(), 1);
    for number in 2..5 {
        let last = 4 - number;
        run.open(&history(last));
        let names = [number - 1, number].map(|n| format!("events.out.tfevents.{n:010}.loop-dml"));
        assert_eq!(run.names(), names);
        assert_eq!(run.have_histograms(last).len(), last + 1);
        // The empty file is not a reason for another one.
        run.open(&history(last));
        assert_eq!(run.names(), names);
    }
}

#[test]
fn record_that_was_cut_at_any_byte_is_replaced() {
    let whole = Run::with_epochs(2).bytes();
    let last = length(&whole, HEADER + 2);
    for end in last + 1..whole.len() {
        let run = Run::with_epochs(2);
        fs::write(run.path(), &whole[..end]).unwrap();
        run.open(&history(2));
        assert_eq!(run.have_histograms(2), [true, true, false], "{end}");
        assert_eq!(run.bytes()[..last], whole[..last]);
    }
    // The whole record is missing, or parts of the header.
    for end in [0, 5, length(&whole, 1), length(&whole, HEADER), last] {
        let run = Run::with_epochs(2);
        fs::write(run.path(), &whole[..end]).unwrap();
        run.open(&history(2));
        assert!(!run.have_histograms(2)[2], "{end}");
    }
}

#[test]
fn changed_byte_costs_the_histograms_of_later_epochs_only() {
    let run = Run::with_epochs(3);
    let mut bytes = run.bytes();
    let at = length(&bytes, HEADER + 1) + 40;
    bytes[at] ^= 1;
    fs::write(run.path(), bytes).unwrap();
    run.open(&history(3));
    assert_eq!(run.have_histograms(3), [true, false, false, false]);
}

#[test]
fn metrics_are_the_truth() {
    // A run of an earlier version has no events.
    let run = Run::new();
    run.open(&history(4));
    assert_eq!(run.have_histograms(4), [false; 5]);
    // Another run's events.
    let run = Run::new();
    let file = run.open(&[]);
    for epoch in 0..3 {
        let mut other = record(epoch);
        other.seconds += f64::from(u8::from(epoch == 1));
        file.append(epoch, summary(&other, Some(&inspection()), None))
            .unwrap();
    }
    run.open(&history(2));
    assert_eq!(run.have_histograms(2), [true, false, true]);
}

#[test]
fn process_that_is_killed_while_it_replaces_the_file_leaves_no_trace() {
    let run = Run::with_epochs(3);
    let (path, bytes) = (run.path(), run.bytes());
    run.open(&history(2));
    // The new file was renamed, the old one not yet removed; a later one was not completed.
    fs::write(&path, bytes).unwrap();
    let partial = ".events.out.tfevents.0000000003.loop-dml.partial";
    fs::write(run.folder.path().join(partial), "half").unwrap();
    run.open(&history(2));
    assert_eq!(run.have_histograms(2), [true; 3]);
}

#[test]
fn files_of_others_are_kept() {
    let run = Run::with_epochs(1);
    let names = ["events.out.tfevents.1700000000.host", "notes.txt"];
    for name in names {
        fs::write(run.folder.path().join(name), "precious").unwrap();
    }
    run.open(&history(0));
    for name in names {
        assert!(run.names().contains(&name.to_string()), "{name}");
    }
}

fn split() -> Split {
    let names = vec!["a".to_string(), "b".to_string()];
    Split::new("test", names, vec![0, 0, 1], Arc::new(Drawings))
}

fn log(folder: &Path, overrides: &[&str], history: &[EpochRecord]) -> EventLog {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let config = Config::quickstart(&overrides).unwrap();
    EventLog::open(&config, folder.to_path_buf(), &split(), history)
}

#[test]
fn unreadable_image_is_grey_and_the_names_are_listed() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tensorboard");
    let mut log = log(&folder, &[], &[]);
    log.add(&record(0), Some(&inspection()));
    assert!(log.reported);
    let file = folder.join("events.out.tfevents.0000000001.loop-dml");
    let events = events(&fs::read(file).unwrap());
    let Some(What::Summary(summary)) = &events[HEADER].what else {
        panic!("{events:?}");
    };
    let data = |tag: &str| {
        let value = summary.values.iter().find(|value| value.tag == tag);
        value.unwrap().data.clone().unwrap()
    };
    let Data::Image(image) = data("queries/worst") else {
        panic!();
    };
    let sheet = image::load_from_memory(&image.encoded).unwrap().to_rgb8();
    assert_eq!(
        sheet.dimensions(),
        (image.width as u32, image.height as u32)
    );
    // The middle of the nearest wrong image, which cannot be read.
    let gray = sheet.get_pixel(180, 60).0;
    assert!(
        gray.iter().all(|&value| value.abs_diff(128) < 4),
        "{gray:?}"
    );
    let Data::Text(text) = data("queries/worst_files") else {
        panic!();
    };
    let text = String::from_utf8(text.strings[0].clone()).unwrap();
    assert!(text.contains("| image 0 | image 2 (0.500) |"), "{text}");
}

#[test]
fn nothing_is_written_if_it_is_disabled() {
    let parent = tempfile::tempdir().unwrap();
    let mut log = log(
        &parent.path().join("tensorboard"),
        &["training.tensorboard=false"],
        &history(1),
    );
    log.add(&record(2), Some(&inspection()));
    assert_eq!(parent.path().read_dir().unwrap().count(), 0);
}

#[test]
fn training_continues_without_a_folder_that_cannot_be_written() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tensorboard");
    fs::write(&folder, "a file").unwrap();
    let mut log = log(&folder, &[], &[]);
    log.add(&record(0), None);
    assert!(log.file.is_none());
    assert_eq!(fs::read(&folder).unwrap(), b"a file");
}

#[test]
fn removed_file_is_a_failure_that_does_not_create_it_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tensorboard");
    let mut log = log(&folder, &[], &[]);
    log.add(&record(0), None);
    fs::remove_dir_all(&folder).unwrap();
    log.add(&record(1), None);
    assert!(log.file.is_none() && !folder.exists());
}

#[test]
fn file_of_another_run_at_the_same_place_is_not_touched() {
    let run = Run::with_epochs(2);
    let file = run.open(&history(2));
    let path = run.path();
    fs::rename(&path, path.with_extension("moved")).unwrap();
    fs::write(&path, "another run").unwrap();
    let written = file.append(3, summary(&record(3), None, None));
    assert!(written.unwrap_err().to_string().contains("replaced"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "another run");
}
