//! The file of a report. It replaces an earlier report, and no other file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::page::is_page;
use super::run_report::REPORT;
use crate::atomic_file::{AtomicFileError, check_free, replace, write_new};
use crate::bounded_read::read_at_most;

/// The largest file that may be a report.
const MAXIMUM_BYTES: u64 = 50_000_000;

/// A file that a report can be written to.
#[derive(Debug)]
pub struct ReportOutput {
    path: PathBuf,
    replaces: bool,
}

impl ReportOutput {
    /// Checks, before any work, that a report can be written to `path`.
    ///
    /// # Errors
    /// If a file exists there that is not a report, or the folder does not exist.
    pub fn new(path: &Path) -> Result<Self, AtomicFileError> {
        let replaces = is_report(path);
        if !replaces {
            check_free(path)?;
        }
        Ok(Self {
            path: path.to_path_buf(),
            replaces,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the report under a temporary name, which is then renamed.
    ///
    /// # Errors
    /// If the file cannot be written, or another file was created there meanwhile.
    pub fn write(&self, html: &str) -> Result<(), AtomicFileError> {
        match self.replaces {
            true if is_report(&self.path) => {
                replace(&self.path, html.as_bytes()).map_err(|source| AtomicFileError::Unwritable {
                    path: self.path.clone(),
                    source,
                })
            }
            _ => write_new(&self.path, |file| file.write_all(html.as_bytes())),
        }
    }
}

/// Whether `path` is a regular file that is a report of this program.
fn is_report(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file
        && read_at_most(path, MAXIMUM_BYTES)
            .is_ok_and(|bytes| is_page(REPORT, &String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::super::page::Page;
    use super::*;

    fn report(title: &str) -> String {
        Page {
            kind: REPORT,
            title: title.into(),
            summary: html! {},
            sections: Vec::new(),
            script: "",
        }
        .to_html()
    }

    #[test]
    fn a_report_is_replaced_and_another_file_is_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("report.html");
        ReportOutput::new(&path)
            .unwrap()
            .write(&report("first"))
            .unwrap();
        ReportOutput::new(&path)
            .unwrap()
            .write(&report("second"))
            .unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("second"));

        fs::write(&path, "<html>mine</html>").unwrap();
        let message = ReportOutput::new(&path).unwrap_err().to_string();
        assert!(
            message.contains("exists and is not overwritten"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "<html>mine</html>");
        assert!(ReportOutput::new(&folder.path().join("no/report.html")).is_err());
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("report.html");
        let output = ReportOutput::new(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(output.write(&report("new")).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
