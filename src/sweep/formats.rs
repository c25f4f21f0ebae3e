//! Results as JSON and CSV, with shares from 0 to 1.

use std::collections::BTreeSet;
use std::io;

use serde_json::{Map, Value, json};

use super::results::{CellResults, SweepResults, json_value};
use super::statistics::Summary;

impl SweepResults {
    /// The results as one JSON object.
    pub fn to_json(&self) -> Value {
        let cells = self.cells.iter().map(|cell| self.cell_json(cell));
        json!({
            "measure": self.measure.to_string(),
            "split": self.split.as_str(),
            "averaged_over": self.averaged,
            "baseline": self.baseline,
            "cells": cells.collect::<Vec<_>>(),
        })
    }

    fn cell_json(&self, cell: &CellResults) -> Value {
        let settings = self.axes.iter().zip(&cell.settings);
        let settings: Map<String, Value> = settings
            .map(|(axis, value)| (axis.clone(), json_value(value)))
            .collect();
        let runs: Vec<String> = cell
            .runs
            .iter()
            .map(|run| run.display().to_string())
            .collect();
        json!({
            "settings": settings,
            "runs": runs,
            "commands": cell.commands,
            "finished": cell.finished,
            "recall": cell.recall,
            "map_at_r": cell.map_at_r,
            "seconds": cell.seconds,
            "is_baseline": cell.is_baseline,
            "difference": cell.difference,
        })
    }

    /// Writes a row for each cell.
    ///
    /// # Errors
    /// If `output` cannot be written.
    pub fn write_csv(&self, output: impl io::Write) -> io::Result<()> {
        let ks: BTreeSet<usize> = self
            .cells
            .iter()
            .flat_map(|cell| cell.recall.keys().copied())
            .collect();
        let mut header: Vec<String> = self.axes.clone();
        header.extend(["runs", "finished"].map(String::from));
        let measures = ks.iter().map(|k| format!("recall_at_{k}"));
        for name in measures.chain(["map_at_r".to_string()]) {
            header.extend([name.clone(), format!("{name}_std")]);
        }
        let rest = "seconds difference difference_std difference_low difference_high difference_pairs command";
        header.extend(rest.split(' ').map(String::from));
        let mut writer = csv::Writer::from_writer(output);
        writer.write_record(&header)?;
        for cell in &self.cells {
            writer.write_record(cell.csv_row(&ks))?;
        }
        writer.flush()
    }
}

impl CellResults {
    fn csv_row(&self, ks: &BTreeSet<usize>) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let mut row = self.labels.clone();
        row.extend([self.runs.len(), self.finished].map(|count| count.to_string()));
        let recall = ks.iter().map(|k| self.recall.get(k).copied());
        for summary in recall.chain([self.map_at_r]) {
            row.push(number(summary.map(|summary| summary.mean)));
            row.push(number(summary.and_then(|summary: Summary| summary.std)));
        }
        row.push(number(self.seconds));
        let of = self.difference;
        row.extend([
            number(of.map(|of| of.mean)),
            number(of.and_then(|of| of.std)),
            number(of.and_then(|of| of.low)),
            number(of.and_then(|of| of.high)),
            of.map_or(String::new(), |of| of.n.to_string()),
            self.commands[0].clone(),
        ]);
        row
    }
}
