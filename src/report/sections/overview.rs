//! The measures of a run, and what they mean: the protocol, the split, what is missing.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::config::Protocol;
use crate::evaluation::{RetrievalIntervals, RetrievalMeasures};
use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::page::Section;
use crate::report::run_files::RunFiles;
use crate::report::text::{count, name, percent, percent_interval};
use crate::training::EndReason;

/// Below this number of classes, intervals over classes are rough.
const FEW_CLASSES: usize = 20;

/// The section of the measures; `split` is the evaluated test split, or the reason without one.
pub(crate) fn overview(files: &RunFiles, split: Result<&EvaluatedSplit, &str>) -> Section {
    let body = match split {
        Ok(split) => measured(files, split),
        Err(reason) => not_measured(files, reason),
    };
    Section {
        id: "measures",
        heading: "Measures".into(),
        body,
    }
}

fn measured(files: &RunFiles, split: &EvaluatedSplit) -> Markup {
    let measures = split.measures();
    let intervals = split.intervals();
    html! {
        (cards(split, &measures))
        div.pair {
            (table(split, &measures, intervals.as_ref()))
            div {
                p { (protocol(files, Some(split.epoch))) }
                @if split.missing > 0 {
                    p.note { (count(split.missing)) " test image(s) are missing since the run began. The measures are those of the others." }
                }
                @if !split.skipped.is_empty() {
                    p.note { (count(split.skipped.len())) " test image(s) were skipped because they cannot be read. " a href="#skipped" { "They are listed below." } }
                }
                (state(files))
                (intervals_note(split))
            }
        }
    }
}

fn not_measured(files: &RunFiles, reason: &str) -> Markup {
    html! {
        p.note { "The test split was not evaluated: " (name(reason)) }
        @if let Some(result) = &files.result {
            p { "Recorded at the end of the training, on the test split at epoch " (result.best_epoch) ":" }
            ul.cards {
                @for (k, share) in &result.test.at { (card(&format!("Recall@{k}"), &percent(*share))) }
                @if let Some(share) = result.test_map_at_r { (card("MAP@R", &percent(share))) }
            }
        }
        p { (protocol(files, None)) }
        (state(files))
    }
}

/// How the training ended, if not as configured.
fn state(files: &RunFiles) -> Markup {
    let trained = files.history.last().map_or(0, |epoch| epoch.epoch);
    html! {
        @match &files.result {
            Some(result) if result.reason == EndReason::EarlyStopping => p {
                "The training ended after epoch " (result.epochs) ", because no epoch had been better for "
                (files.config.training.early_stopping.unwrap_or(0)) " epochs."
            },
            Some(_) => {},
            None => p.note {
                "The training has not ended: " (trained) " of " (files.config.training.epochs) " epochs are recorded."
            },
        }
        @if files.has_diverged {
            p.note { "A step diverged: its loss or embeddings were not finite. The folder diverged of the run has its batch." }
        }
    }
}

fn cards(split: &EvaluatedSplit, measures: &RetrievalMeasures) -> Markup {
    let classes: BTreeSet<usize> = split.rows.labels.iter().copied().collect();
    html! {
        ul.cards {
            (card("Recall@1", &percent(measures.recall.at_1())))
            (card("MAP@R", &percent(measures.map_at_r)))
            (card("R-precision", &percent(measures.r_precision)))
            (card("queries", &count(measures.recall.queries)))
            (card("test images", &count(split.rows.len())))
            (card("test classes", &count(classes.len())))
        }
    }
}

fn card(name: &str, value: &str) -> Markup {
    html! { li { span.value { (value) } span.name { (name) } } }
}

fn table(
    split: &EvaluatedSplit,
    measures: &RetrievalMeasures,
    intervals: Option<&RetrievalIntervals>,
) -> Markup {
    let mut lines: Vec<(String, f64, Option<[f64; 2]>)> = Vec::new();
    for (k, share) in &measures.recall.at {
        let interval = intervals.and_then(|found| found.recall.get(k).copied());
        lines.push((format!("Recall@{k}"), *share, interval));
    }
    lines.push((
        "MAP@R".into(),
        measures.map_at_r,
        intervals.map(|i| i.map_at_r),
    ));
    lines.push((
        "R-precision".into(),
        measures.r_precision,
        intervals.map(|i| i.r_precision),
    ));
    lines.push(("mAP".into(), measures.map, intervals.map(|i| i.map)));
    html! {
        table {
            caption { "On the test split, epoch " (split.epoch) }
            thead { tr { th scope="col" { "Measure" } th.number scope="col" { "Mean" } th.number scope="col" { "95 % interval" } } }
            tbody {
                @for (name, mean, interval) in &lines {
                    tr {
                        th scope="row" { (name) }
                        td.number { (percent(*mean)) }
                        td.number { @if let Some(interval) = interval { (percent_interval(*interval)) } }
                    }
                }
            }
        }
    }
}

fn intervals_note(split: &EvaluatedSplit) -> Markup {
    let classes = split.queries.iter();
    let classes: BTreeSet<usize> = classes.map(|query| split.rows.labels[query.row]).collect();
    html! {
        p.quiet {
            "Intervals are bootstrapped over the " (count(classes.len())) " classes, because queries of a class are not independent."
            @if classes.len() < FEW_CLASSES { " With so few classes they are rough." }
        }
    }
}

/// What chose the epoch, and what was measured.
pub(crate) fn protocol(files: &RunFiles, epoch: Option<usize>) -> Markup {
    let record = &files.record;
    let best = files.result.as_ref().map(|result| result.best_epoch);
    html! {
        "Protocol " strong { (record.protocol) } ". "
        @match (record.protocol, &record.validation) {
            (Protocol::Validated, Some(validation)) => {
                "The best epoch is the one with the highest Recall@1, then MAP@R, on " (count(validation.classes.len()))
                " validation classes (" (count(validation.images)) " images). The test split (" (count(record.test.classes.len()))
                " classes, " (count(record.test.images)) " images) neither trained nor chose. "
            },
            (Protocol::Validated, None) => "The best epoch is the one with the highest Recall@1, then MAP@R, on validation classes. ",
            (Protocol::Published, _) => {
                "The test split (" (count(record.test.classes.len())) " classes, " (count(record.test.images))
                " images) chose the best epoch and is what was measured, as in published tables. "
                "The recall is higher than that of an epoch chosen without it. "
            },
        }
        @match (epoch, best) {
            (Some(epoch), Some(best)) if epoch != best => {
                "Epoch " (epoch) " was measured; the best is " (best) "."
            },
            (Some(epoch), Some(_)) => { "Epoch " (epoch) " is the best." },
            (Some(epoch), None) => { "Epoch " (epoch) " was measured." },
            _ => {},
        }
    }
}
