//! The results of a sweep: what its finished runs measured, averaged and compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Value;

use super::SweepError;
use super::folder::RunState;
use super::measured_split::MeasuredSplit;
use super::names::shell_command;
use super::plan::{Cell, Sweep};
use super::statistics::{Difference, Summary};
use crate::setting::shown;
use crate::training::RetrievalMeasure;

/// The results of a sweep.
#[derive(Debug, Clone)]
pub struct SweepResults {
    /// The axes that cells differ in.
    pub axes: Vec<String>,
    /// The axes that cells are averaged over.
    pub averaged: Vec<String>,
    /// The measure that cells are compared by.
    pub measure: RetrievalMeasure,
    /// The split that is measured.
    pub split: MeasuredSplit,
    /// The values of the baseline in words; `None` without one.
    pub baseline: Option<String>,
    /// The cells, in the order of the file.
    pub cells: Vec<CellResults>,
}

/// The results of a cell.
#[derive(Debug, Clone)]
pub struct CellResults {
    /// The value of each axis of [`SweepResults::axes`].
    pub settings: Vec<Value>,
    /// The same as text.
    pub labels: Vec<String>,
    /// The run folders.
    pub runs: Vec<PathBuf>,
    /// The command of each run.
    pub commands: Vec<String>,
    /// How many runs are finished.
    pub finished: usize,
    /// K → Recall@K of the finished runs at their best epochs.
    pub recall: BTreeMap<usize, Summary>,
    /// Their MAP@R.
    pub map_at_r: Option<Summary>,
    /// The mean seconds of a finished run.
    pub seconds: Option<f64>,
    /// Whether other cells are compared with this one.
    pub is_baseline: bool,
    /// The difference of the measure to the baseline. `None` for the baseline, and if no pair of runs is finished.
    pub difference: Option<Difference>,
}

impl SweepResults {
    /// Reads the finished runs of a sweep, which were trained with `arguments` besides their own, such as
    /// `--backend cpu`.
    ///
    /// # Errors
    /// If the output folder does not fit the sweep, or a file cannot be read.
    pub fn read(sweep: &Sweep, arguments: &[String]) -> Result<Self, SweepError> {
        let runs = sweep.states()?;
        let cells = sweep.cells();
        let baselines = cells.iter().filter_map(|cell| cell.baseline);
        let baselines: Vec<usize> = baselines.collect();
        let result = |(at, cell): (usize, &Cell)| {
            let is_baseline = baselines.contains(&at);
            let baseline = cell.baseline.filter(|baseline| *baseline != at);
            let difference = baseline
                .and_then(|baseline| difference(sweep, &runs, &cell.runs, &cells[baseline].runs));
            CellResults {
                is_baseline,
                difference,
                ..cell_results(sweep, cell, &runs, arguments)
            }
        };
        Ok(Self {
            axes: sweep
                .cell_axes()
                .map(|(_, axis)| axis.name.clone())
                .collect(),
            averaged: sweep
                .file
                .averaged()
                .map(|axis| axis.name.clone())
                .collect(),
            measure: sweep.measure(),
            split: sweep.split(),
            baseline: sweep.baseline(),
            cells: cells.iter().enumerate().map(result).collect(),
        })
    }
}

impl CellResults {
    /// The measure over the finished runs.
    pub fn summary(&self, measure: RetrievalMeasure) -> Option<Summary> {
        match measure {
            RetrievalMeasure::RecallAt(k) => self.recall.get(&k).copied(),
            RetrievalMeasure::MapAtR => self.map_at_r,
        }
    }
}

impl Sweep {
    /// The values of the baseline in words.
    fn baseline(&self) -> Option<String> {
        let selection = self.file.compare.baseline.as_ref()?;
        let values = selection.0.iter().map(|(axis, values)| {
            let axis = &self.file.axes[*axis];
            format!("{} = {}", axis.name, axis.values[values[0]].label())
        });
        Some(values.collect::<Vec<_>>().join(", "))
    }
}

/// The results of a cell without a comparison.
fn cell_results(
    sweep: &Sweep,
    cell: &Cell,
    runs: &[RunState],
    arguments: &[String],
) -> CellResults {
    let finished = || cell.runs.iter().filter_map(|run| runs[*run].finished());
    let split = sweep.split();
    let mut recall: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut map_at_r = Vec::new();
    for (result, _) in finished() {
        let Some(measured) = split.of(result) else {
            continue;
        };
        for (k, value) in measured.recall.at {
            recall.entry(k).or_default().push(value);
        }
        map_at_r.extend(measured.map_at_r);
    }
    let seconds: Vec<f64> = finished().map(|(_, seconds)| seconds).collect();
    let first = cell.runs[0];
    let values = || sweep.cell_axes().map(|(axis, _)| sweep.value(first, axis));
    let planned = || cell.runs.iter().map(|run| &sweep.runs()[*run]);
    let command = |run| {
        let program = vec!["loop-dml".to_string()];
        shell_command(&[program, sweep.arguments(run), arguments.to_vec()].concat())
    };
    let summaries = recall.into_iter();
    CellResults {
        settings: values().map(|value| value.value.clone()).collect(),
        labels: values().map(|value| value.label()).collect(),
        runs: planned().map(|run| sweep.folder(run)).collect(),
        commands: planned().map(command).collect(),
        finished: finished().count(),
        recall: summaries
            .filter_map(|(k, values)| Some((k, Summary::of(&values)?)))
            .collect(),
        map_at_r: Summary::of(&map_at_r),
        seconds: Summary::of(&seconds).map(|summary| summary.mean),
        is_baseline: false,
        difference: None,
    }
}

/// The differences of the finished runs of a cell to those of another with the same values on the averaged axes.
fn difference(
    sweep: &Sweep,
    runs: &[RunState],
    cell: &[usize],
    baseline: &[usize],
) -> Option<Difference> {
    let averaged = &sweep.file.compare.average_over;
    let is_pair = |a: usize, b: usize| {
        let (a, b) = (&sweep.runs()[a].choices, &sweep.runs()[b].choices);
        averaged.iter().all(|axis| a[*axis] == b[*axis])
    };
    let measure = |run: usize| {
        let (result, _) = runs[run].finished()?;
        sweep.measure().of(&sweep.split().of(result)?)
    };
    let pairs = cell.iter().filter_map(|run| {
        let other = baseline.iter().find(|other| is_pair(*run, **other))?;
        Some(measure(*run)? - measure(*other)?)
    });
    Difference::of(&pairs.collect::<Vec<f64>>())
}

/// A value as JSON.
pub(super) fn json_value(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_else(|_| shown(value).into())
}
