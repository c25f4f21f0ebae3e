//! HTML pages that contain everything they show: no file beside them, no network.
//!
//! [`Page`] is the skeleton with its style sheet, and [`ThumbnailSpec`] makes the images in it, which have a
//! bounded size. [`RunReport`] is the report of a run: [`RunFiles`] is what its folder says, and [`EvaluatedSplit`] its
//! test split, embedded and measured. [`Comparison`] is the report of several runs. [`SweepTable`] and
//! [`sweep_page()`] show the results of a sweep. [`ReportOutput`] is the file.

mod comparison;
mod distances;
mod duplicates_page;
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
mod search_page;
mod sections;
mod sprite_sheet;
mod sweep_page;
mod sweep_table;
#[cfg(test)]
mod tests;
mod text;
mod thumbnail;
mod tile;

pub use comparison::{ComparedSplit, Comparison};
pub use duplicates_page::duplicates_page;
pub use evaluated_split::{EmbeddedRows, EvaluatedSplit, MeasuredQuery, reason_without_evaluation};
pub use output::ReportOutput;
pub use page::{Page, Section, is_page};
pub use run_files::RunFiles;
pub use run_report::{REPORT, RunReport};
pub use search_page::{SearchPage, search_page};
pub use sweep_page::sweep_page;
pub use sweep_table::SweepTable;
pub use thumbnail::{Thumbnail, ThumbnailSpec};
