//! Reports about a whole dataset: all its problems, its statistics, and a contact sheet of its images.
//!
//! A [`DatasetSurvey`] reads the dataset's lists and folders. [`DatasetSurvey::check`] decodes every
//! image, [`DatasetSurvey::stats`] reads only headers, and [`DatasetSurvey::contact_sheet`] draws images
//! of some classes.

mod check;
mod check_report;
mod class_checks;
mod contact_sheet;
mod dataset_survey;
mod duplicates;
mod image_sets;
mod problem;
mod report;
mod size;
mod stats;
#[cfg(test)]
mod tests;

pub use check_report::{Agreement, CheckReport, EvaluatedSummary, HoldOutSummary, SubsetSummary};
pub use contact_sheet::{ContactSheet, SheetLayout, SheetPathError, SheetRow, check_sheet_path};
pub(crate) use contact_sheet::{THUMBNAIL, thumbnail};
pub use dataset_survey::DatasetSurvey;
pub use problem::{Problem, Severity};
pub use stats::{Bin, Spread, Stats, SubsetStats};
