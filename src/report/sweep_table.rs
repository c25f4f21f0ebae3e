//! The results of a sweep as a table, for terminals, Markdown and HTML.

use super::text::{duration, points};
use crate::escape::escaped;
use crate::sweep::{CellResults, Difference, MeasuredSplit, Summary, SweepResults};
use crate::training::RetrievalMeasure;

/// What is shown where there is no value.
const ABSENT: &str = "–";

/// The results of a sweep as a table.
#[derive(Debug, Clone)]
pub struct SweepTable {
    /// The columns: their names, and whether they have numbers.
    pub(super) columns: Vec<(String, bool)>,
    /// A row for each cell.
    pub(super) rows: Vec<Vec<String>>,
    /// What the columns are, in sentences.
    pub(super) notes: Vec<String>,
    /// A command of each cell.
    pub(super) commands: Vec<String>,
}

impl SweepTable {
    /// The table of some results.
    pub fn new(results: &SweepResults) -> Self {
        let other = match results.measure {
            RetrievalMeasure::MapAtR => RetrievalMeasure::RecallAt(1),
            RetrievalMeasure::RecallAt(_) => RetrievalMeasure::MapAtR,
        };
        let measures = [results.measure, other];
        let has_baseline = results.baseline.is_some();
        let name = |name: &str, is_number| (name.to_string(), is_number);
        let mut columns: Vec<(String, bool)> = results
            .axes
            .iter()
            .map(|axis| name(&harmless(axis), false))
            .collect();
        columns.push(name("runs", true));
        columns.extend(measures.map(|measure| (format!("{measure} %"), true)));
        if has_baseline {
            columns.extend([name("difference", true), name("95 % interval", true)]);
        }
        columns.push(name("time", true));
        let row = |cell: &CellResults| {
            let mut row: Vec<String> = cell.labels.iter().map(|label| harmless(label)).collect();
            row.push(match cell.finished == cell.runs.len() {
                true => cell.finished.to_string(),
                false => format!("{} of {}", cell.finished, cell.runs.len()),
            });
            row.extend(measures.map(|measure| mean(cell.summary(measure))));
            if has_baseline {
                row.extend(difference(cell));
            }
            row.push(cell.seconds.map_or(ABSENT.into(), duration));
            row
        };
        Self {
            rows: results.cells.iter().map(row).collect(),
            notes: notes(results),
            commands: results
                .cells
                .iter()
                .map(|cell| cell.commands[0].clone())
                .collect(),
            columns,
        }
    }

    /// The table with aligned columns, and the notes.
    pub fn to_text(&self) -> String {
        let width = |text: &str| text.chars().count();
        let column_width = |at: usize| {
            let cells = self.rows.iter().map(|row| width(&row[at]));
            cells.chain([width(&self.columns[at].0)]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(column_width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).zip(&self.columns);
            let padded = cells.map(|((text, column), (_, is_number))| {
                let padding = " ".repeat(column - width(text));
                match is_number {
                    true => padding + text,
                    false => text.to_string() + &padding,
                }
            });
            let line = padded.collect::<Vec<_>>().join("  ");
            line.trim_end().to_string() + "\n"
        };
        let mut text = line(&mut self.columns.iter().map(|(name, _)| name.as_str()));
        for row in &self.rows {
            text += &line(&mut row.iter().map(String::as_str));
        }
        text + "\n" + &self.notes.join("\n") + "\n"
    }

    /// The table, the notes and the commands as Markdown.
    pub fn to_markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|text| text.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let align = |(_, is_number): &(String, bool)| match is_number {
            true => "---:".to_string(),
            false => "---".to_string(),
        };
        let mut text = row(&names) + &row(&self.columns.iter().map(align).collect::<Vec<_>>());
        for cells in &self.rows {
            text += &row(cells);
        }
        let commands = self.commands.join("\n");
        let notes = self.notes.join("\n");
        format!("{text}\n{notes}\n\nThe first run of each cell:\n\n```text\n{commands}\n```\n")
    }
}

/// A text of the sweep file without line breaks and other characters that a terminal acts on.
fn harmless(text: &str) -> String {
    escaped(text).to_string()
}

/// A mean and its standard deviation in percent.
fn mean(summary: Option<Summary>) -> String {
    match summary {
        None => ABSENT.to_string(),
        Some(Summary {
            mean,
            std: Some(std),
            ..
        }) => format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * std),
        Some(Summary { mean, .. }) => format!("{:.1}", 100.0 * mean),
    }
}

/// The difference to the baseline in points, and its interval.
fn difference(cell: &CellResults) -> [String; 2] {
    let Some(Difference {
        mean, low, high, n, ..
    }) = cell.difference
    else {
        let text = match cell.is_baseline {
            true => "baseline",
            false => ABSENT,
        };
        return [text.to_string(), String::new()];
    };
    let interval = match (low, high) {
        (Some(low), Some(high)) => format!("{} to {}", points(low), points(high)),
        _ => ABSENT.to_string(),
    };
    let pairs = match n == cell.runs.len() {
        true => String::new(),
        false => format!(" (of {n})"),
    };
    [points(mean) + &pairs, interval]
}

/// What the columns are.
fn notes(results: &SweepResults) -> Vec<String> {
    let split = match results.split {
        MeasuredSplit::Test => "the test split",
        MeasuredSplit::Validation => "the validation classes",
    };
    let mut notes = vec![format!(
        "Measured on {split} at the best epoch of each run. Time is that of the epochs of a run, on average."
    )];
    let averaged = harmless(&results.averaged.join(" and "));
    if !averaged.is_empty() {
        notes.push(format!(
            "Mean ± sample standard deviation over runs that differ in {averaged}."
        ));
    }
    if let Some(baseline) = results.baseline.as_deref().map(harmless) {
        let measure = results.measure;
        notes.push(match averaged.is_empty() {
            true => format!("Differences of {measure} in points to {baseline}."),
            false => format!(
                "Differences of {measure} in points to {baseline}, between runs with the same {averaged}; intervals are \
                 bootstrapped over these pairs of runs."
            ),
        });
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn results() -> SweepResults {
        let cell = |label: &str, recall: &[f64], difference: Option<&[f64]>| CellResults {
            settings: vec![label.into()],
            labels: vec![label.into()],
            runs: vec!["a".into(), "b".into()],
            commands: vec![format!("loop-dml train --set negatives.name={label}")],
            finished: recall.len(),
            recall: BTreeMap::from_iter(Summary::of(recall).map(|summary| (1, summary))),
            map_at_r: None,
            seconds: (!recall.is_empty()).then_some(12.0),
            is_baseline: difference.is_none(),
            difference: difference.and_then(Difference::of),
        };
        SweepResults {
            axes: vec!["negatives.name".into()],
            averaged: vec!["training.seed".into()],
            measure: RetrievalMeasure::RecallAt(1),
            split: MeasuredSplit::Test,
            baseline: Some("negatives.name = none".into()),
            cells: vec![
                cell("none", &[0.5, 0.6], None),
                cell("loop", &[0.52, 0.64], Some(&[0.02, 0.04])),
                cell("a|b", &[], Some(&[])),
            ],
        }
    }

    #[test]
    fn table_has_aligned_columns_and_says_what_they_are() {
        let text = SweepTable::new(&results()).to_text();
        let expected = "\
negatives.name    runs       R@1 %  MAP@R %  difference  95 % interval  time
none                 2  55.0 ± 7.1        –    baseline                 12 s
loop                 2  58.0 ± 8.5        –        +3.0   +2.0 to +4.0  12 s
a|b             0 of 2           –        –           –                    –

Measured on the test split at the best epoch of each run. Time is that of the epochs of a run, on average.
Mean ± sample standard deviation over runs that differ in training.seed.
Differences of R@1 in points to negatives.name = none, between runs with the same training.seed; intervals are \
bootstrapped over these pairs of runs.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn labels_cannot_break_the_table_or_reach_the_terminal() {
        let mut results = results();
        results.cells[1].labels[0] = "a\nb\u{1b}[2J".into();
        let text = SweepTable::new(&results).to_text();
        assert!(text.contains("\na\\u{a}b\\u{1b}[2J  "), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn markdown_is_a_table_with_commands() {
        let text = SweepTable::new(&results()).to_markdown();
        assert!(text.contains("\n| loop | 2 | 58.0 ± 8.5 | – | +3.0 | +2.0 to +4.0 | 12 s |\n"));
        assert!(text.contains("\n| a\\|b | 0 of 2 |"));
        assert!(text.contains("\nloop-dml train --set negatives.name=loop\n"));
    }
}
