//! Sweep files: TOML with a base configuration, axes, exclusions and a comparison.

mod axes;
mod flat;
mod reader;
mod selections;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::SweepError;
use super::axis::{Axis, Selection};
use super::measured_split::MeasuredSplit;
use crate::bounded_read::{MIB, read_at_most};
use crate::training::RetrievalMeasure;
use flat::{flatten, key_positions};
use reader::Reader;

/// The keys of the file.
const KEYS: [&str; 6] = ["base", "output", "set", "axes", "exclude", "compare"];
/// The folder of sweeps without `output`.
const SWEEPS: &str = "artifacts/sweeps";

/// A sweep file.
#[derive(Debug, Clone)]
pub struct SweepFile {
    /// The file.
    pub path: PathBuf,
    /// The configuration that all runs begin with; `None` for the quickstart.
    pub base: Option<PathBuf>,
    /// The folder of the runs.
    pub output: PathBuf,
    /// Configuration keys of all runs.
    pub set: Vec<(String, Value)>,
    /// The axes, in the order of the file.
    pub axes: Vec<Axis>,
    /// Combinations that are left out.
    pub(super) exclude: Vec<Selection>,
    /// How results are compared.
    pub(super) compare: Compare,
}

/// The section `[compare]`.
#[derive(Debug, Clone)]
pub(super) struct Compare {
    /// The values of the baseline, one for each axis it names; `None` for no differences.
    pub(super) baseline: Option<Selection>,
    pub(super) measure: RetrievalMeasure,
    pub(super) split: MeasuredSplit,
    /// The axes that results are averaged over, by index.
    pub(super) average_over: Vec<usize>,
}

impl SweepFile {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// If it cannot be read or is not TOML, or a key is unknown or has an invalid value. Values of configuration
    /// keys are not checked.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let syntax = |message: String| SweepError::Syntax {
            path: path.to_path_buf(),
            message,
        };
        let bytes = read_at_most(path, MIB).map_err(|source| match source.kind() {
            ErrorKind::FileTooLarge => syntax(source.to_string()),
            _ => SweepError::Unreadable {
                path: path.to_path_buf(),
                source,
            },
        })?;
        let text = String::from_utf8(bytes).map_err(|_| syntax("it is not UTF-8".into()))?;
        Self::parse(path, &text)
    }

    /// Parses the text of the sweep file `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, SweepError> {
        let reader = Reader { path };
        let table: Result<Table, _> = toml::from_str(text);
        let table = table.map_err(|error| SweepError::Syntax {
            path: path.to_path_buf(),
            message: error.to_string().trim_end().to_string(),
        })?;
        reader.check_keys("", &table, &KEYS)?;
        let positions = key_positions(text);
        let section = |name: &str| reader.section(&table, name);
        let mut set = flatten(&section("set")?);
        set.sort_by_key(|(key, _)| positions.get(&format!("set.{key}")).copied());
        for (key, _) in &set {
            reader.check_config_key(key)?;
        }
        let mut axes = reader.axes(&section("axes")?)?;
        axes.sort_by_key(|axis| positions.get(&format!("axes.{}", axis.name)).copied());
        reader.check_overlaps(&set, &axes)?;
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            base: reader.base(&table)?,
            output: match reader.path_at(&table, "output")? {
                Some(output) => output,
                None => Path::new(SWEEPS).join(name),
            },
            exclude: reader.exclusions(&table, &axes)?,
            compare: reader.compare(&section("compare")?, &axes)?,
            path: path.to_path_buf(),
            set,
            axes,
        })
    }

    /// The axes that results are averaged over.
    pub fn averaged(&self) -> impl Iterator<Item = &Axis> {
        self.compare.average_over.iter().map(|at| &self.axes[*at])
    }
}

#[cfg(test)]
mod tests;
