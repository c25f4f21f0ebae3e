//! The configuration and the environment of a run.

use maud::{Markup, html};

use crate::escape::escaped_lines;
use crate::report::page::Section;
use crate::report::run_files::RunFiles;
use crate::report::text::{count, duration, path};

/// The most characters of the configuration.
const CONFIGURATION: usize = 100_000;

/// The section of the configuration.
pub(crate) fn configuration(files: &RunFiles) -> Section {
    let toml = escaped_lines(&files.config.to_toml()).to_string();
    let end = toml
        .char_indices()
        .nth(CONFIGURATION)
        .map_or(toml.len(), |(at, _)| at);
    Section {
        id: "configuration",
        heading: "Configuration".into(),
        body: html! {
            @if !files.record.changes.is_empty() {
                h3 { "Changes on resuming" }
                table {
                    thead { tr {
                        th.number scope="col" { "After epoch" } th scope="col" { "Key" }
                        th scope="col" { "Before" } th scope="col" { "After" }
                    } }
                    tbody { @for change in &files.record.changes { tr {
                        td.number { (change.epoch) } th scope="row" { code { (change.key) } }
                        td { code { (change.before.to_string()) } } td { code { (change.after.to_string()) } }
                    } } }
                }
            }
            details open[false] {
                summary { "Every key" }
                pre tabindex="0" role="region" aria-label="The configuration as TOML" { code { (&toml[..end]) } }
            }
        },
    }
}

/// The section of the environment and the times.
pub(crate) fn environment(files: &RunFiles) -> Section {
    let record = &files.record;
    let trained = files.history.iter().filter(|epoch| epoch.epoch > 0);
    let mut seconds: Vec<f64> = trained.map(|epoch| epoch.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied();
    let split = |images: usize, classes: usize| {
        format!("{} images, {} classes", count(images), count(classes))
    };
    let mut lines: Vec<(&str, String)> = vec![
        ("Run folder", path(&files.path)),
        ("loop-dml", record.loop_dml.clone()),
        ("Burn", record.burn.clone()),
        ("Backend", record.backend.clone()),
        ("Seed", record.seed.to_string()),
        ("Parameters", count(record.parameters)),
        (
            "Training split",
            split(record.train.images, record.train.classes.len()),
        ),
    ];
    if let Some(threads) = record.threads {
        lines.insert(4, ("Threads", threads.to_string()));
    }
    if let Some(validation) = &record.validation {
        lines.push((
            "Validation split",
            split(validation.images, validation.classes.len()),
        ));
    }
    lines.push((
        "Test split",
        split(record.test.images, record.test.classes.len()),
    ));
    lines.push(("Epochs", count(seconds.len())));
    lines.push(("Training time", duration(files.seconds())));
    if let Some(median) = median {
        lines.push(("Median epoch", duration(median)));
    }
    Section {
        id: "environment",
        heading: "Environment and time".into(),
        body: html! {
            (table(&lines))
            @for note in &record.weights { p.quiet { "Weights: " (note) } }
        },
    }
}

fn table(lines: &[(&str, String)]) -> Markup {
    html! {
        table.facts { tbody { @for (name, value) in lines {
            tr { th scope="row" { (name) } td { (value) } }
        } } }
    }
}
