//! The files that the results are written to.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::SweepArgs;
use crate::atomic_file::{check_free, write_new};
use crate::cli::CliError;
use crate::cli::extension::check_extension;
use crate::cli::output::status;
use crate::report::{ReportOutput, SweepTable, sweep_page};
use crate::sweep::SweepResults;

/// The files, checked before anything is trained.
pub(super) struct Outputs {
    csv: Option<PathBuf>,
    markdown: Option<PathBuf>,
    html: Option<ReportOutput>,
    /// The title of the page.
    title: String,
}

impl Outputs {
    /// Checks that the files can be written.
    ///
    /// # Errors
    /// If one has another extension, exists, or its folder does not.
    pub(super) fn new(args: &SweepArgs) -> Result<Self, CliError> {
        for (option, path, extension) in [
            ("--csv", &args.csv, "csv"),
            ("--markdown", &args.markdown, "md"),
            ("--html", &args.html, "html"),
        ] {
            if let Some(path) = path {
                check_extension(option, path, extension)?;
            }
        }
        for path in [&args.csv, &args.markdown].into_iter().flatten() {
            check_free(path)?;
        }
        let title = args.file.file_stem().unwrap_or_default();
        Ok(Self {
            csv: args.csv.clone(),
            markdown: args.markdown.clone(),
            html: args.html.as_deref().map(ReportOutput::new).transpose()?,
            title: title.to_string_lossy().into_owned(),
        })
    }

    /// Writes the files.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(super) fn write(&self, results: &SweepResults, table: &SweepTable) -> Result<(), CliError> {
        if let Some(path) = &self.csv {
            write_new(path, |file| results.write_csv(file))?;
            written(path);
        }
        if let Some(path) = &self.markdown {
            write_new(path, |file| file.write_all(table.to_markdown().as_bytes()))?;
            written(path);
        }
        if let Some(output) = &self.html {
            output.write(&sweep_page(&self.title, table))?;
            written(output.path());
        }
        Ok(())
    }
}

fn written(path: &Path) {
    status(format_args!("wrote {}", path.display()));
}
