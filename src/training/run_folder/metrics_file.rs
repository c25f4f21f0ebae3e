//! The recorded epochs of a run, `metrics.jsonl`.

use std::fs;
use std::io::{ErrorKind, Write};

use serde_json::Value;

use super::error::file_error;
use super::{EpochRecord, METRICS, RunFolder, RunFolderError, seal};

/// The key of the checksum in a line.
const CHECKSUM: &str = "crc32";

impl RunFolder {
    /// Reads the recorded epochs, from 0 on. A truncated last line is ignored.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a line before the last is damaged, or an epoch is missing.
    pub fn history(&self) -> Result<Vec<EpochRecord>, RunFolderError> {
        let path = self.path.join(METRICS);
        let text = match fs::read(&path) {
            // A flipped bit may make it invalid UTF-8. The line's checksum shows that.
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file_error("read", &path)(source)),
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut epochs: Vec<EpochRecord> = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let is_truncated = index + 1 == lines.len() && !text.ends_with('\n');
            let message = match parse_line(line) {
                Ok(epoch) if epoch.epoch == index => {
                    epochs.push(epoch);
                    continue;
                }
                _ if is_truncated => break,
                Ok(epoch) => format!("line {} is epoch {}", index + 1, epoch.epoch),
                Err(message) => format!("line {}: {message}", index + 1),
            };
            return Err(RunFolderError::Damaged {
                path,
                message: format!("{message}; restore the file, or start a new run"),
            });
        }
        Ok(epochs)
    }

    /// Appends the record of an epoch durably.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. Then it has no partial line.
    pub(in crate::training) fn append(&self, epoch: &EpochRecord) -> Result<(), RunFolderError> {
        self.check_lock()?;
        let path = self.path.join(METRICS);
        let line = format!("{}\n", format_line(epoch));
        // Only the first line creates the file: if it was removed meanwhile, epochs would be lost.
        let mut file = fs::OpenOptions::new()
            .create(epoch.epoch == 0)
            .append(true)
            .open(&path)
            .map_err(file_error("write", &path))?;
        // Again, because another run may have replaced the folder before the file was opened.
        self.check_lock()?;
        let mut appended = || -> std::io::Result<()> {
            let length = file.metadata()?.len();
            let written = file
                .write_all(line.as_bytes())
                .and_then(|()| file.sync_data());
            if written.is_err() {
                let _ = file.set_len(length);
            }
            written
        };
        appended().map_err(file_error("write", &path))
    }

    /// Replaces the recorded epochs, for a run that is resumed from an epoch before the last or whose last
    /// line is truncated. A file with exactly these epochs is not written.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(in crate::training) fn replace_history(
        &self,
        epochs: &[EpochRecord],
    ) -> Result<(), RunFolderError> {
        let lines: String = epochs
            .iter()
            .map(|epoch| format_line(epoch) + "\n")
            .collect();
        let path = self.path.join(METRICS);
        let present = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            present => present.map_err(file_error("read", &path))?,
        };
        match present == lines.as_bytes() {
            true => Ok(()),
            false => self.write(METRICS, &lines),
        }
    }
}

fn format_line(epoch: &EpochRecord) -> String {
    let value = serde_json::to_value(epoch).expect("a record is plain data");
    seal::seal_json(value, CHECKSUM, seal::crc32).to_string()
}

fn parse_line(line: &str) -> Result<EpochRecord, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let value = seal::check_json(value, CHECKSUM, seal::crc32)
        .map_err(|_| "its checksum differs from its contents".to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}
