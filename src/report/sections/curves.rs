//! The curves of a training.

use maud::{Markup, html};

use crate::config::Protocol;
use crate::report::page::Section;
use crate::report::plot::{Level, LinePlot, Series};
use crate::report::run_files::RunFiles;
use crate::report::text::percent;
use crate::training::EpochRecord;

/// The most rows of the table of the epochs.
const ROWS: usize = 200;

/// The section of the curves; `None` without trained epochs.
pub(crate) fn curves(files: &RunFiles) -> Option<Section> {
    let trained = files.history.iter().filter(|epoch| epoch.epoch > 0).count();
    (trained > 0).then(|| Section {
        id: "curves",
        heading: "Training curves".into(),
        body: html! {
            div.pair { (loss(files)) (recall(files)) }
            (table(&files.history))
        },
    })
}

/// The losses of the epochs.
pub(crate) fn loss_series(history: &[EpochRecord], name: String) -> Series {
    let loss = |epoch: &EpochRecord| Some((epoch.epoch as f64, *epoch.training.get("loss")?));
    Series {
        name,
        points: history.iter().filter_map(loss).collect(),
    }
}

/// Recall@K of the evaluated epochs, the untrained network among them.
pub(crate) fn recall_series(history: &[EpochRecord], k: usize, name: String) -> Series {
    let recall = |epoch: &EpochRecord| {
        let recall = epoch.recall.as_ref()?.at.get(&k)?;
        Some((epoch.epoch as f64, *recall))
    };
    Series {
        name,
        points: history.iter().filter_map(recall).collect(),
    }
}

/// MAP@R of the evaluated epochs; no points in runs of versions that did not record it.
pub(crate) fn map_at_r_series(history: &[EpochRecord], name: String) -> Series {
    let measured = |epoch: &EpochRecord| Some((epoch.epoch as f64, epoch.map_at_r?));
    Series {
        name,
        points: history.iter().filter_map(measured).collect(),
    }
}

fn loss(files: &RunFiles) -> Markup {
    let series = loss_series(&files.history, "loss".into());
    let ends = [series.points.first(), series.points.last()];
    let description = match ends {
        [Some((from, first)), Some((to, last))] => {
            format!(
                "The mean loss falls or rises from {first:.4} in epoch {from} to {last:.4} in epoch {to}."
            )
        }
        _ => String::new(),
    };
    LinePlot {
        id: "loss",
        title: "Mean loss of an epoch".into(),
        description,
        x: "epoch",
        percent: false,
        series: vec![series],
        levels: Vec::new(),
    }
    .markup()
}

fn recall(files: &RunFiles) -> Markup {
    let history = &files.history;
    let evaluated: Vec<&EpochRecord> = history.iter().filter(|e| e.recall.is_some()).collect();
    let Some(recall) = evaluated.last().and_then(|epoch| epoch.recall.as_ref()) else {
        return html! {};
    };
    let recalls = recall.at.keys();
    let recalls = recalls.map(|&k| recall_series(history, k, format!("Recall@{k}")));
    let map_at_r = map_at_r_series(history, "MAP@R".into());
    let recorded = Some(map_at_r).filter(|series| !series.points.is_empty());
    let series = recalls.chain(recorded);
    let untrained = history.first().filter(|epoch| epoch.epoch == 0);
    let untrained = untrained
        .and_then(|epoch| epoch.recall.as_ref())
        .map(|r| r.at_1());
    let split = match files.record.protocol {
        Protocol::Validated => "validation classes",
        Protocol::Published => "the test split",
    };
    let best = evaluated.iter().filter(|epoch| epoch.epoch > 0);
    let scored = best.filter_map(|epoch| Some((epoch, epoch.measured()?.score())));
    let best = scored.reduce(|best, next| if next.1 > best.1 { next } else { best });
    let mut description = match best {
        Some((best, _)) => format!(
            "Recall@1 is highest in epoch {}: {}.",
            best.epoch,
            percent(at_1(best))
        ),
        None => String::new(),
    };
    if let Some(untrained) = untrained {
        description += &format!(" The untrained network has {}.", percent(untrained));
    }
    let levels = untrained.map(|value| Level {
        name: format!("Recall@1 untrained: {}", percent(value)),
        value,
    });
    LinePlot {
        id: "recall",
        title: format!("Retrieval on {split}"),
        description,
        x: "epoch",
        percent: true,
        series: series.collect(),
        levels: levels.into_iter().collect(),
    }
    .markup()
}

fn at_1(epoch: &EpochRecord) -> f64 {
    epoch.recall.as_ref().map_or(0.0, |recall| recall.at_1())
}

/// The evaluated epochs as a table.
fn table(history: &[EpochRecord]) -> Markup {
    let evaluated: Vec<&EpochRecord> = history.iter().filter(|e| e.recall.is_some()).collect();
    let ks: Vec<usize> = evaluated
        .last()
        .and_then(|epoch| epoch.recall.as_ref())
        .map_or(Vec::new(), |recall| recall.at.keys().copied().collect());
    if ks.is_empty() {
        return html! { p { "No epoch was evaluated." } };
    }
    let step = evaluated.len().div_ceil(ROWS);
    html! {
        details {
            summary { "The evaluated epochs as a table" }
            div.scroll role="region" aria-label="The evaluated epochs" tabindex="0" {
                table {
                    @if step > 1 { caption { "Every " (step) "th of " (evaluated.len()) " evaluated epochs" } }
                    thead { tr {
                        th.number scope="col" { "Epoch" }
                        th.number scope="col" { "Loss" }
                        @for k in &ks { th.number scope="col" { "R@" (k) } }
                        th.number scope="col" { "MAP@R" }
                    } }
                    tbody { @for epoch in evaluated.iter().step_by(step) { tr {
                        th.number scope="row" { @if epoch.epoch == 0 { "untrained" } @else { (epoch.epoch) } }
                        td.number { @if let Some(loss) = epoch.training.get("loss") { (format!("{loss:.4}")) } }
                        @for k in &ks {
                            @let recall = epoch.recall.as_ref().and_then(|recall| recall.at.get(k));
                            td.number { @if let Some(recall) = recall { (percent(*recall)) } }
                        }
                        td.number { @if let Some(measure) = epoch.map_at_r { (percent(measure)) } }
                    } } }
                }
            }
        }
    }
}
