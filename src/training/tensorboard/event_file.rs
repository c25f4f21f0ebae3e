//! The event file of a run, and how it is made to agree with the recorded epochs.
//!
//! A file has a record with the version, one with the start, one with the hyper-parameters, and one for each
//! epoch from 0 on. It is only appended to. If it cannot be continued, because it has epochs after the one that
//! is resumed from, or its last record is truncated, a file with the next number replaces it. A TensorBoard that
//! displays the run reads that from its beginning, and forgets what it had read; within a file, it would
//! continue at the old position. The old file stays, empty, until the next replacement: the reader in Python
//! would not continue with another file if the one that it reads were removed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::epoch_summary::{stored_scalars, summary};
use super::hyper_parameters;
use super::messages::{Data, Event, SessionLog, Summary, What};
use super::record::{FRAME, Next, push_record, read_record};
use crate::atomic_file;
use crate::file_identity;
use crate::training::run_folder::EpochRecord;

/// The version of the format, as every file names it.
const VERSION: &str = "brain.Event:2";
/// The start of a session, in a [`SessionLog`].
const START: i32 = 1;

/// The name of a file, around its number. TensorBoard reads every file with `tfevents` in its name, in the order
/// of the names.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".loop-dml";

/// The place of a record in a file of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Slot {
    Version,
    Start,
    HyperParameters,
    Epoch(usize),
}

/// A record in a file.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The index of the file.
    file: usize,
    offset: u64,
    length: usize,
}

/// The event file of a run.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    /// Stays open: if the run folder is moved, and another run takes its place, that run's file is not touched.
    file: File,
}

impl EventFile {
    /// Opens the event file in `folder`, or creates both, with the epochs of `history` and no others. The records
    /// of these epochs are kept unchanged if they have the scalars of `history`; others are written again, without
    /// histograms and images.
    ///
    /// # Errors
    /// If a file cannot be read or written. Then the files are unchanged.
    pub(super) fn open(
        folder: &Path,
        hyper_parameters: &Summary,
        history: &[EpochRecord],
    ) -> io::Result<Self> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Those that a killed process did not complete.
        atomic_file::remove_partial_files(folder)?;
        let files = event_files(folder)?;
        let slots: Vec<Slot> = [Slot::Version, Slot::Start, Slot::HyperParameters]
            .into_iter()
            .chain(history.iter().map(|record| Slot::Epoch(record.epoch)))
            .collect();
        let mut present = Vec::new();
        let mut complete = true;
        for (index, path) in files.iter().map(|(_, path)| path).enumerate() {
            complete &= read_places(path, index, history, &mut present)?;
        }
        let in_order = present.iter().map(|(slot, _)| *slot);
        let in_last = present
            .iter()
            .all(|(_, place)| place.file + 1 == files.len());
        if let Some((_, path)) = files.last()
            && complete
            && in_last
            && in_order.eq(slots.iter().copied().map(Some))
        {
            return Self::continue_at(path.clone());
        }

        let number = files.last().map_or(0, |(number, _)| *number) + 1;
        let path = folder.join(format!("{PREFIX}{number:010}{SUFFIX}"));
        let mut kept: HashMap<Slot, Place> = HashMap::new();
        for (slot, place) in present {
            if let Some(slot) = slot {
                kept.entry(slot).or_insert(place);
            }
        }
        replace(&path, |writer| {
            let mut sources = files
                .iter()
                .map(|(_, path)| File::open(path))
                .collect::<io::Result<Vec<File>>>()?;
            for slot in &slots {
                let bytes = match kept.get(slot) {
                    Some(place) => place.read(&mut sources[place.file])?,
                    None => new_record(*slot, hyper_parameters, history),
                };
                writer.write_all(&bytes)?;
            }
            Ok(())
        })?;
        if let Some(((_, last), before)) = files.split_last() {
            File::options().write(true).open(last)?.set_len(0)?;
            for (_, path) in before {
                fs::remove_file(path)?;
            }
        }
        Self::continue_at(path)
    }

    fn continue_at(path: PathBuf) -> io::Result<Self> {
        let file = File::options().append(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Appends the record of an epoch.
    ///
    /// # Errors
    /// If the file cannot be written, or was removed, moved or replaced. Then it has no partial record.
    pub(super) fn append(&self, epoch: usize, summary: Summary) -> io::Result<()> {
        if !file_identity::is_at(&self.file, &self.path)? {
            let message = format!("{} was removed, moved or replaced", self.path.display());
            return Err(io::Error::new(ErrorKind::NotFound, message));
        }
        let length = self.file.metadata()?.len();
        let written = (&self.file).write_all(&record(epoch, What::Summary(summary)));
        if written.is_err() {
            let _ = self.file.set_len(length);
        }
        written
    }
}

impl Place {
    fn read(self, file: &mut File) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        file.seek(SeekFrom::Start(self.offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Adds the records of a file to `present`, with `None` for those that do not belong to `history`. Returns whether
/// the file ends with a complete record.
fn read_places(
    path: &Path,
    index: usize,
    history: &[EpochRecord],
    present: &mut Vec<(Option<Slot>, Place)>,
) -> io::Result<bool> {
    let mut file = BufReader::new(File::open(path)?);
    let mut offset = 0;
    loop {
        let data = match read_record(&mut file)? {
            Next::Record(data) => data,
            Next::End => return Ok(true),
            Next::Truncated => return Ok(false),
            Next::Damaged => {
                tracing::warn!(
                    "{} is damaged after byte {offset}: the histograms and images of later epochs are lost, \
                     their scalars are written again",
                    path.display()
                );
                return Ok(false);
            }
        };
        let length = data.len() + FRAME;
        let place = Place {
            file: index,
            offset,
            length,
        };
        present.push((slot(&data, history), place));
        offset += length as u64;
    }
}

/// The slot of a record; `None` if it is not a record of `history`.
fn slot(data: &[u8], history: &[EpochRecord]) -> Option<Slot> {
    let event = Event::decode(data).ok()?;
    match event.what? {
        What::FileVersion(version) => (version == VERSION).then_some(Slot::Version),
        What::SessionLog(log) => (log.status == START).then_some(Slot::Start),
        What::Summary(summary) if summary.values.first()?.tag == hyper_parameters::TAG => {
            Some(Slot::HyperParameters)
        }
        What::Summary(summary) => {
            let epoch = usize::try_from(event.step).ok()?;
            let record = history.get(epoch).filter(|record| record.epoch == epoch)?;
            let values = summary.values.iter();
            let scalars = values.filter(|value| matches!(value.data, Some(Data::Scalar(_))));
            scalars
                .eq(stored_scalars(record).iter())
                .then_some(Slot::Epoch(epoch))
        }
    }
}

/// The record of a slot that no file has.
fn new_record(slot: Slot, hyper_parameters: &Summary, history: &[EpochRecord]) -> Vec<u8> {
    match slot {
        Slot::Version => record(0, What::FileVersion(VERSION.to_string())),
        Slot::Start => record(0, What::SessionLog(SessionLog { status: START })),
        Slot::HyperParameters => record(0, What::Summary(hyper_parameters.clone())),
        Slot::Epoch(epoch) => record(epoch, What::Summary(summary(&history[epoch], None, None))),
    }
}

fn record(epoch: usize, what: What) -> Vec<u8> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let event = Event {
        wall_time: since.unwrap_or_default().as_secs_f64(),
        step: epoch as i64,
        what: Some(what),
    };
    let mut bytes = Vec::new();
    push_record(&mut bytes, &event.encode_to_vec());
    bytes
}

/// The event files of a run with their numbers, increasing. Other files are not touched.
fn event_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Creates or replaces `path` under a temporary name that is then renamed.
fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(atomic_file::partial_name(&name));
    let written = (|| {
        let mut writer = BufWriter::new(File::create(&partial)?);
        write(&mut writer)?;
        writer.into_inner()?.sync_all()?;
        fs::rename(&partial, path)
    })();
    if written.is_err() {
        // It takes the space that the disk may lack.
        let _ = fs::remove_file(&partial);
    }
    written
}
