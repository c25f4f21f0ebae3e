//! The report of several runs.

mod settings;

use std::collections::{BTreeMap, HashMap};

use maud::{Markup, html};

use super::evaluated_split::EvaluatedSplit;
use super::page::{Page, Section};
use super::plot::{LinePlot, Series};
use super::run_files::RunFiles;
use super::run_report::REPORT;
use super::sections::{loss_series, map_at_r_series, protocol, recall_series};
use super::text::{count, duration, name, path, percent, percent_interval, points};
use crate::config::Protocol;
use crate::evaluation::{
    QueryMeasures, Resampling, RetrievalIntervals, RetrievalMeasures, mean_interval,
};
use crate::training::SplitSummary;

/// The seed of bootstrap samples.
const SEED: u64 = 0;

/// Several runs. Differences are those to the first.
#[derive(Debug, Clone)]
pub struct Comparison {
    runs: Vec<ComparedRun>,
}

/// A run among others.
#[derive(Debug, Clone)]
struct ComparedRun {
    files: RunFiles,
    /// Its name, which no other run has.
    label: String,
    /// The measures of its test split, or why it was not evaluated.
    split: Result<ComparedSplit, String>,
}

/// What is kept of an evaluated split.
#[derive(Debug, Clone)]
pub struct ComparedSplit {
    epoch: usize,
    summary: SplitSummary,
    /// The label and the measures of each query, by its index in the split.
    queries: BTreeMap<usize, (usize, QueryMeasures)>,
    measures: RetrievalMeasures,
    intervals: Option<RetrievalIntervals>,
    /// Images that were skipped or are missing.
    left_out: usize,
}

impl From<EvaluatedSplit> for ComparedSplit {
    fn from(split: EvaluatedSplit) -> Self {
        let rows = &split.rows;
        let query = |query: &super::evaluated_split::MeasuredQuery| {
            (
                rows.indices[query.row],
                (rows.labels[query.row], query.measures),
            )
        };
        Self {
            epoch: split.epoch,
            queries: split.queries.iter().map(query).collect(),
            measures: split.measures(),
            intervals: split.intervals(),
            left_out: split.skipped.len() + split.missing,
            summary: split.summary,
        }
    }
}

/// A difference of means over the same queries, and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Difference {
    mean: f64,
    interval: [f64; 2],
}

/// The differences of two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Differences {
    recall_at_1: Difference,
    map_at_r: Difference,
    /// The queries that both measured.
    queries: usize,
}

impl Comparison {
    /// Compares runs, of which there are at least two.
    pub fn new(runs: Vec<(RunFiles, Result<ComparedSplit, String>)>) -> Self {
        let mut names: HashMap<String, usize> = HashMap::new();
        for (files, _) in &runs {
            *names.entry(files.name()).or_default() += 1;
        }
        let label = |files: &RunFiles| match names[&files.name()] {
            1 => name(&files.name()),
            _ => name(&path(&files.path)),
        };
        let runs = runs.into_iter().map(|(files, split)| ComparedRun {
            label: label(&files),
            files,
            split,
        });
        Self {
            runs: runs.collect(),
        }
    }

    /// The comparison as an HTML page.
    pub fn to_html(&self) -> String {
        let sections = [
            Some(self.measures()),
            self.differences(),
            self.curves(),
            settings::settings(&self.configurations()),
            Some(self.protocols()),
        ];
        Page {
            kind: REPORT,
            title: format!("{} runs", self.runs.len()),
            summary: html! { p { @for (at, run) in self.runs.iter().enumerate() { @if at > 0 { ", " } (run.label) } } },
            sections: sections.into_iter().flatten().collect(),
            script: "",
        }
        .to_html()
    }

    fn configurations(&self) -> Vec<(&str, String)> {
        let runs = self.runs.iter();
        runs.map(|run| (run.label.as_str(), run.files.config.to_toml()))
            .collect()
    }

    fn measures(&self) -> Section {
        let splits = || self.runs.iter().filter_map(|run| run.split.as_ref().ok());
        let mut ks: Vec<usize> = splits()
            .flat_map(|s| s.measures.recall.at.keys().copied())
            .collect();
        ks.sort_unstable();
        ks.dedup();
        let protocols: Vec<Protocol> = self
            .runs
            .iter()
            .map(|run| run.files.record.protocol)
            .collect();
        let differ = protocols.iter().any(|protocol| *protocol != protocols[0]);
        let same_split = splits()
            .zip(splits().skip(1))
            .all(|(a, b)| same_images(a, b).is_ok());
        let body = html! {
            @if differ {
                p.note {
                    "The protocols differ. With the published protocol, the test split chose the epoch, so that its recall is "
                    "higher than with validation classes."
                }
            }
            @if !same_split { p.note { "The runs were measured on different test images. Their measures are not comparable." } }
            @for run in &self.runs {
                @match &run.split {
                    Err(reason) => p.note { (run.label) " was not evaluated: " (name(reason)) },
                    Ok(split) if split.left_out > 0 => p.note {
                        (run.label) ": " (count(split.left_out)) " test image(s) are missing or cannot be read, and are left out."
                    },
                    Ok(_) => {},
                }
            }
            div.scroll role="region" aria-label="Measures of the runs" tabindex="0" {
                table {
                    caption { "On the test split of each run" }
                    thead { tr {
                        th scope="col" { "Run" }
                        @for k in &ks { th.number scope="col" { "R@" (k) } }
                        th.number scope="col" { "MAP@R" } th.number scope="col" { "R-precision" }
                        th.number scope="col" { "Queries" } th.number scope="col" { "Epoch" } th scope="col" { "Protocol" }
                        th.number scope="col" { "Time" }
                    } }
                    tbody { @for run in &self.runs { tr {
                        th scope="row" { (run.label) }
                        (cells(run, &ks))
                        td { (run.files.record.protocol) }
                        td.number { (duration(run.files.seconds())) }
                    } } }
                }
            }
        };
        Section {
            id: "measures",
            heading: "Measures".into(),
            body,
        }
    }

    fn differences(&self) -> Option<Section> {
        let (first, others) = self.runs.split_first()?;
        let baseline = first.split.as_ref().ok()?;
        let rows: Vec<(&ComparedRun, Result<Differences, &'static str>)> = others
            .iter()
            .filter_map(|run| Some((run, run.split.as_ref().ok()?)))
            .map(|(run, split)| (run, differences(baseline, split)))
            .collect();
        let reasons = rows
            .iter()
            .filter_map(|(run, found)| Some((run, found.err()?)));
        let reasons: Vec<_> = reasons.collect();
        (!rows.is_empty()).then(|| Section {
            id: "differences",
            heading: format!("Differences to {}", first.label),
            body: html! {
                @for (run, reason) in &reasons { p.note { (run.label) " is not compared: " (reason) } }
                @if reasons.len() < rows.len() {
                    div.scroll role="region" aria-label="Differences" tabindex="0" {
                        table {
                            caption { "In points, with 95 % intervals" }
                            thead { tr {
                                th scope="col" { "Run" } th.number scope="col" { "R@1" } th.number scope="col" { "interval" }
                                th.number scope="col" { "MAP@R" } th.number scope="col" { "interval" } th.number scope="col" { "Queries" }
                            } }
                            tbody { @for (run, found) in &rows { @if let Ok(found) = found { tr {
                                th scope="row" { (run.label) }
                                (difference(found.recall_at_1)) (difference(found.map_at_r))
                                td.number { (count(found.queries)) }
                            } } } }
                        }
                    }
                    p.quiet {
                        "Each query is compared with itself, and intervals are bootstrapped over classes. "
                        "An interval that contains 0 shows no difference. It does not cover the variation between seeds."
                    }
                }
            },
        })
    }

    fn curves(&self) -> Option<Section> {
        let series =
            |of: &dyn Fn(&ComparedRun) -> Series| self.runs.iter().map(of).collect::<Vec<_>>();
        let recall = series(&|run| recall_series(&run.files.history, 1, run.label.clone()));
        let map_at_r = series(&|run| map_at_r_series(&run.files.history, run.label.clone()));
        let loss = series(&|run| loss_series(&run.files.history, run.label.clone()));
        let has_points = |series: &[Series]| series.iter().any(|one| !one.points.is_empty());
        let runs = self.runs.len();
        (has_points(&recall) || has_points(&loss)).then(|| Section {
            id: "curves",
            heading: "Training curves".into(),
            body: html! {
                div.pair {
                    (LinePlot {
                        id: "recall",
                        title: "Recall@1 while training".into(),
                        description: format!("Recall@1 of {runs} runs by epoch, on the split that chooses the best epoch."),
                        x: "epoch",
                        percent: true,
                        series: recall,
                        levels: Vec::new(),
                    }.markup())
                    (LinePlot {
                        id: "map-at-r",
                        title: "MAP@R while training".into(),
                        description: format!("MAP@R of {runs} runs by epoch, on the split that chooses the best epoch."),
                        x: "epoch",
                        percent: true,
                        series: map_at_r,
                        levels: Vec::new(),
                    }.markup())
                    (LinePlot {
                        id: "loss",
                        title: "Mean loss of an epoch".into(),
                        description: format!("The mean loss of {runs} runs by epoch."),
                        x: "epoch",
                        percent: false,
                        series: loss,
                        levels: Vec::new(),
                    }.markup())
                }
                p.quiet {
                    "Epoch 0 is the untrained network. Recall is that on the validation classes, or on the test split with the "
                    "published protocol. Losses of different kinds have different scales."
                }
            },
        })
    }

    fn protocols(&self) -> Section {
        Section {
            id: "protocols",
            heading: "Protocols".into(),
            body: html! { @for run in &self.runs {
                h3 { (run.label) }
                p { (protocol(&run.files, run.split.as_ref().ok().map(|split| split.epoch))) }
            } },
        }
    }
}

fn cells(run: &ComparedRun, ks: &[usize]) -> Markup {
    let Ok(split) = &run.split else {
        return html! { td colspan=(ks.len() + 4) { "not evaluated" } };
    };
    let interval = |interval: Option<[f64; 2]>| {
        html! {
            @if let Some(interval) = interval { br; span.quiet { (percent_interval(interval)) } }
        }
    };
    let intervals = split.intervals.as_ref();
    html! {
        @for k in ks {
            td.number { @if let Some(recall) = split.measures.recall.at.get(k) {
                (percent(*recall))
                @if *k == 1 { (interval(intervals.and_then(|found| found.recall.get(k).copied()))) }
            } }
        }
        td.number { (percent(split.measures.map_at_r)) (interval(intervals.map(|found| found.map_at_r))) }
        td.number { (percent(split.measures.r_precision)) }
        td.number { (count(split.measures.recall.queries)) }
        td.number { (split.epoch) }
    }
}

fn difference(difference: Difference) -> Markup {
    let [low, high] = difference.interval;
    html! {
        td.number { (points(difference.mean)) }
        td.number { (points(low)) " to " (points(high)) }
    }
}

/// Whether the queries of two splits are the same images; why not, if they are not.
fn same_images(a: &ComparedSplit, b: &ComparedSplit) -> Result<(), &'static str> {
    if !a.summary.same_counts(&b.summary) {
        return Err("its test split has other classes or another number of images");
    }
    if a.summary.files_differ(&b.summary) {
        return Err("its test split has other files");
    }
    Ok(())
}

/// The differences `b` − `a` over the queries that both measured.
fn differences(a: &ComparedSplit, b: &ComparedSplit) -> Result<Differences, &'static str> {
    same_images(a, b)?;
    let both = a.queries.iter().filter_map(|(index, (label, before))| {
        let (_, after) = b.queries.get(index)?;
        Some((*label, *before, *after))
    });
    let both: Vec<(usize, QueryMeasures, QueryMeasures)> = both.collect();
    let labels: Vec<usize> = both.iter().map(|(label, ..)| *label).collect();
    let difference = |measure: fn(&QueryMeasures) -> f64| {
        let values: Vec<f64> = both
            .iter()
            .map(|(_, a, b)| measure(b) - measure(a))
            .collect();
        let interval = mean_interval(&values, &labels, Resampling::Classes, SEED)?;
        Some(Difference {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            interval,
        })
    };
    let found = |query: &QueryMeasures| f64::from(u8::from(query.nearest <= 1));
    let compared = || {
        Some(Differences {
            recall_at_1: difference(found)?,
            map_at_r: difference(|query| query.map_at_r)?,
            queries: both.len(),
        })
    };
    compared().ok_or("the two runs have no query in common")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(nearest: &[usize], images: usize) -> ComparedSplit {
        let query = |(index, &nearest): (usize, &usize)| {
            let share = f64::from(u8::from(nearest == 1));
            let measures = QueryMeasures {
                nearest,
                r_precision: share,
                map_at_r: share,
                average_precision: share,
            };
            (index, (index / 2, measures))
        };
        ComparedSplit {
            epoch: 1,
            summary: SplitSummary {
                images,
                classes: vec!["a".into(), "b".into()],
                files: None,
                queries: None,
                gallery: None,
            },
            queries: nearest.iter().enumerate().map(query).collect(),
            measures: RetrievalMeasures::from_queries(&[], &[1]),
            intervals: None,
            left_out: 0,
        }
    }

    #[test]
    fn differences_are_those_of_the_same_queries() {
        let (a, b) = (split(&[1, 2, 2, 2], 4), split(&[1, 1, 1, 2], 4));
        let found = differences(&a, &b).unwrap();
        assert_eq!((found.recall_at_1.mean, found.queries), (0.5, 4));
        // Both classes gain one of two queries.
        assert_eq!(found.recall_at_1.interval, [0.5, 0.5]);
        assert_eq!(differences(&b, &a).unwrap().map_at_r.mean, -0.5);
        // A query that one could not read is not compared.
        let mut fewer = b.clone();
        fewer.queries.remove(&1);
        assert_eq!(differences(&a, &fewer).unwrap().queries, 3);
    }

    #[test]
    fn other_images_are_not_compared() {
        let (a, mut b) = (split(&[1, 2], 2), split(&[1, 1], 2));
        assert!(
            differences(&a, &split(&[1, 1], 3))
                .unwrap_err()
                .contains("number of images")
        );
        b.summary.files = Some("1".into());
        let mut a = a;
        a.summary.files = Some("2".into());
        assert!(differences(&a, &b).unwrap_err().contains("other files"));
        assert!(differences(&split(&[], 2), &split(&[], 2)).is_err());
    }
}
