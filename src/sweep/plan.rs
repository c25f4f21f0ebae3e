//! The runs of a sweep, and the cells that they form.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::SweepError;
use super::axis::{Axis, AxisValue};
use super::file::SweepFile;
use super::measured_split::MeasuredSplit;
use super::names::{override_text, run_names};
use crate::config::{Config, ConfigError, Protocol};
use crate::setting::SettingError;
use crate::training::RetrievalMeasure;

/// The most runs of a sweep.
const MAXIMUM_RUNS: usize = 10_000;
/// The most runs that an error lists for a reason.
const LISTED: usize = 3;

/// A sweep: the product of its axes without what is excluded, checked.
#[derive(Debug, Clone)]
pub struct Sweep {
    pub(super) file: SweepFile,
    /// The folder of the runs.
    output: PathBuf,
    runs: Vec<PlannedRun>,
    cells: Vec<Cell>,
}

/// A training of a sweep.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The name of its folder in the output folder.
    pub name: String,
    /// Its values: an index for each axis.
    pub(super) choices: Vec<usize>,
    /// The keys that it sets, as `key=value`.
    pub overrides: Vec<String>,
    /// Its configuration.
    pub config: Config,
}

/// Runs that differ only in the axes that results are averaged over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// The runs, by index.
    pub(super) runs: Vec<usize>,
    /// The cell that it is compared with, by index; the baseline itself also has it. `None` without a baseline, or if
    /// that cell is excluded.
    pub(super) baseline: Option<usize>,
}

impl Sweep {
    /// Plans the runs of a sweep file in the folder `output`, or in that of the file. Checks all configurations.
    ///
    /// # Errors
    /// If there are too many runs, an exclusion matches none, or the configuration of a run is invalid. All invalid ones
    /// are in the error.
    pub fn new(file: SweepFile, output: Option<&Path>) -> Result<Self, SweepError> {
        let invalid = |key: &str, reason: String| SweepError::Value {
            path: file.path.clone(),
            key: key.into(),
            reason,
        };
        let sizes = file.axes.iter().map(|axis| axis.values.len());
        let product = sizes.fold(1usize, usize::saturating_mul);
        if product > MAXIMUM_RUNS {
            let reason = format!("{product} runs are too many; give at most {MAXIMUM_RUNS}");
            return Err(invalid("axes", reason));
        }
        let mut choices = combinations(&file.axes);
        for (number, excluded) in file.exclude.iter().enumerate() {
            if !choices.iter().any(|run| excluded.contains(run)) {
                let reason = format!(
                    "number {} leaves out nothing that the ones before it keep; remove it",
                    number + 1
                );
                return Err(invalid("exclude", reason));
            }
            choices.retain(|run| !excluded.contains(run));
        }
        if choices.is_empty() {
            return Err(invalid(
                "exclude",
                "leaves out every run; remove one".into(),
            ));
        }
        let names = run_names(&file.axes, &choices);
        let runs = configured(&file, names, &choices)?;
        let cells = cells(&file, &choices);
        if let Some(baseline) = &file.compare.baseline
            && !choices.iter().any(|run| baseline.contains(run))
        {
            let reason = "every run with these values is excluded";
            return Err(invalid("compare.baseline", reason.into()));
        }
        Ok(Self {
            output: output.unwrap_or(&file.output).to_path_buf(),
            file,
            runs,
            cells,
        })
    }

    /// The folder of the runs.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The runs.
    pub fn runs(&self) -> &[PlannedRun] {
        &self.runs
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The folder of a run.
    pub fn folder(&self, run: &PlannedRun) -> PathBuf {
        self.output.join(&run.name)
    }

    /// The arguments of this program that train a run.
    pub fn arguments(&self, run: &PlannedRun) -> Vec<String> {
        let mut arguments = vec!["train".to_string()];
        if let Some(base) = &self.file.base {
            arguments.extend(["--config".to_string(), base.display().to_string()]);
        }
        for text in &run.overrides {
            arguments.extend(["--set".to_string(), text.clone()]);
        }
        let folder = self.folder(run).display().to_string();
        arguments.extend(["--run".to_string(), folder]);
        arguments
    }

    /// The axes that cells differ in.
    pub fn cell_axes(&self) -> impl Iterator<Item = (usize, &Axis)> {
        let averaged = &self.file.compare.average_over;
        let axes = self.file.axes.iter().enumerate();
        axes.filter(|(at, _)| !averaged.contains(at))
    }

    /// The value of a run on an axis.
    pub(super) fn value(&self, run: usize, axis: usize) -> &AxisValue {
        &self.file.axes[axis].values[self.runs[run].choices[axis]]
    }

    /// The measure that cells are compared by.
    pub fn measure(&self) -> RetrievalMeasure {
        self.file.compare.measure
    }

    /// The split that is measured.
    pub fn split(&self) -> MeasuredSplit {
        self.file.compare.split
    }
}

/// All combinations of the values, the first axis varying slowest.
fn combinations(axes: &[Axis]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let longer = |choices: &Vec<usize>| {
            let values = 0..axis.values.len();
            let one = |value| [choices.as_slice(), &[value]].concat();
            values.map(one).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// The cells of the runs with these values, in the order of their first runs.
fn cells(file: &SweepFile, runs: &[Vec<usize>]) -> Vec<Cell> {
    let averaged = &file.compare.average_over;
    let key = |choices: &[usize]| -> Vec<usize> {
        let kept = choices.iter().enumerate();
        let kept = kept.filter(|(axis, _)| !averaged.contains(axis));
        kept.map(|(_, choice)| *choice).collect()
    };
    let mut numbers: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut cells: Vec<Cell> = Vec::new();
    for (run, choices) in runs.iter().enumerate() {
        match numbers.entry(key(choices)) {
            Entry::Occupied(cell) => cells[*cell.get()].runs.push(run),
            Entry::Vacant(cell) => {
                cell.insert(cells.len());
                cells.push(Cell {
                    runs: vec![run],
                    baseline: None,
                });
            }
        }
    }
    if let Some(baseline) = &file.compare.baseline {
        for cell in &mut cells {
            let wanted = key(&baseline.replaced(&runs[cell.runs[0]]));
            cell.baseline = numbers.get(&wanted).copied();
        }
    }
    cells
}

/// The runs with their configurations.
fn configured(
    file: &SweepFile,
    names: Vec<String>,
    choices: &[Vec<usize>],
) -> Result<Vec<PlannedRun>, SweepError> {
    let mut runs = Vec::new();
    // Each reason with the runs that it refuses.
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    for (name, choices) in names.into_iter().zip(choices) {
        let overrides = overrides(file, choices);
        let config = match &file.base {
            Some(base) => Config::load(base, &overrides),
            None => Config::quickstart(&overrides),
        };
        match config.and_then(|config| check(file, config)) {
            Ok(config) => runs.push(PlannedRun {
                name,
                choices: choices.clone(),
                overrides,
                config,
            }),
            Err(source) if is_of_base(&source) => {
                return Err(SweepError::Config {
                    path: file.path.clone(),
                    source,
                });
            }
            Err(error) => {
                let reason = error.to_string();
                match refused.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, names)) => names.push(name),
                    None => refused.push((reason, vec![name])),
                }
            }
        }
    }
    if refused.is_empty() {
        return Ok(runs);
    }
    Err(SweepError::Refused {
        path: file.path.clone(),
        refused: choices.len() - runs.len(),
        runs: choices.len(),
        reasons: refused.iter().map(described).collect(),
    })
}

/// Whether an error does not depend on what the axes set.
fn is_of_base(error: &ConfigError) -> bool {
    matches!(
        error,
        ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } | ConfigError::Extends { .. }
    )
}

/// A reason and the runs that it refuses.
fn described((reason, names): &(String, Vec<String>)) -> String {
    let listed = names[..names.len().min(LISTED)].join(", ");
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n  {reason}\n    {listed}{more}")
}

/// The overrides of the run with these values.
fn overrides(file: &SweepFile, choices: &[usize]) -> Vec<String> {
    let values = file.axes.iter().zip(choices);
    let of_axes = values.flat_map(|(axis, choice)| &axis.values[*choice].settings);
    let all = file.set.iter().chain(of_axes);
    all.map(|(key, value)| override_text(key, value)).collect()
}

/// Checks a configuration, and that its runs measure what is compared.
fn check(file: &SweepFile, config: Config) -> Result<Config, ConfigError> {
    config.check()?;
    if let RetrievalMeasure::RecallAt(k) = file.compare.measure
        && !config.evaluation.recall.contains(&k)
    {
        let measured: Vec<i64> = config.evaluation.recall.iter().map(|k| *k as i64).collect();
        let reason = format!("compare.measure = \"recall@{k}\" needs {k} in the list");
        return Err(SettingError::value("evaluation.recall", measured, reason).into());
    }
    let protocol = config.evaluation.protocol;
    if file.compare.split == MeasuredSplit::Validation && protocol == Protocol::Published {
        let reason = "has no validation classes, which compare.split = \"validation\" needs";
        let protocol = protocol.to_string();
        return Err(SettingError::value("evaluation.protocol", protocol, reason).into());
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
