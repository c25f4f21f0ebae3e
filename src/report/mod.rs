//! HTML pages that contain everything they show: no file beside them, no network.
//!
//! [`Page`] is the skeleton with its style sheet, and [`ThumbnailSpec`] makes the images in it, which have a
//! bounded size. [`RunReport`] is the report of a run: [`RunFiles`] is what its folder says, and [`EvaluatedSplit`] its
//! test split, embedded and measured. [`Comparison`] is the report of several runs. [`ReportOutput`] is the file.

mod comparison;
mod distances;
mod evaluated_split;
mod images;
mod map;
mod neighbours;
mod output;
mod page;
mod plot;
mod principal_components;
mod run_files;
mod run_report;
mod sections;
mod sprite_sheet;
#[cfg(test)]
mod tests;
mod text;
mod thumbnail;

pub use comparison::{ComparedSplit, Comparison};
pub use evaluated_split::{EmbeddedRows, EvaluatedSplit, MeasuredQuery, reason_without_evaluation};
pub use output::ReportOutput;
pub use page::{Page, Section, is_page};
pub use run_files::RunFiles;
pub use run_report::{REPORT, RunReport};
pub use thumbnail::{Thumbnail, ThumbnailSpec};
