//! Near duplicates and likely mislabelled images as text and JSON.

use serde_json::{Value, json};

use super::super::super::CliError;
use super::super::super::output::{print, print_json};
use crate::escape::escaped;
use crate::inference::duplicates::{DuplicateGroup, DuplicateReport, Mislabelled, Relation};

/// The groups and images that are printed, unless all are asked for.
const PRINTED: usize = 20;

/// The images of a group that are printed.
const PRINTED_OF_GROUP: usize = 10;

/// Prints groups and images, the first 20 of each kind or `all`.
pub(super) fn print_report(
    report: &DuplicateReport,
    title: &str,
    all: bool,
) -> Result<(), CliError> {
    let splits = report
        .splits()
        .map(|(split, count)| format!("{count} in {split}"));
    let splits: Vec<String> = splits.collect();
    print(format_args!(
        "{title}: {} images ({})",
        report.count(),
        splits.join(", ")
    ))?;
    print(format_args!(
        "near duplicates are at most {:.6} apart; the median distance to the nearest image is {:.6}",
        report.threshold, report.median_distance
    ))?;
    let limit = if all { usize::MAX } else { PRINTED };
    for (relation, heading) in [
        (
            Relation::AcrossSplits,
            "across splits: a test image may be trained on",
        ),
        (
            Relation::AcrossClasses,
            "across classes: one of the classes is wrong",
        ),
        (Relation::WithinClass, "within a class: they count twice"),
    ] {
        let groups = report.groups.iter();
        let groups: Vec<&DuplicateGroup> =
            groups.filter(|group| group.relation == relation).collect();
        if groups.is_empty() {
            continue;
        }
        print(format_args!("{} group(s) {heading}", groups.len()))?;
        for group in groups.iter().take(limit) {
            print_group(report, group)?;
        }
        print_more(groups.len(), limit)?;
    }
    if report.groups.is_empty() {
        print("no near duplicates")?;
    }
    print_mislabelled(report, limit)
}

fn print_group(report: &DuplicateReport, group: &DuplicateGroup) -> Result<(), CliError> {
    for (at, &image) in group.images.iter().take(PRINTED_OF_GROUP).enumerate() {
        let distance = match at {
            0 => format!("{:9.6}", group.distance),
            _ => " ".repeat(9),
        };
        let class = report.class(image);
        let class = class.map_or(String::new(), |class| format!("  ({class})"));
        let name = report.name(image);
        print(format_args!(
            "{distance}  {:10}  {name}{class}",
            report.split(image)
        ))?;
    }
    match group.images.len().saturating_sub(PRINTED_OF_GROUP) {
        0 => Ok(()),
        more => print(format_args!("{}  and {more} more", " ".repeat(9))),
    }
}

fn print_mislabelled(report: &DuplicateReport, limit: usize) -> Result<(), CliError> {
    let found = &report.mislabelled;
    if found.is_empty() {
        return print("no likely mislabelled images");
    }
    print(format_args!("{} likely mislabelled image(s)", found.len()))?;
    for found in found.iter().take(limit) {
        let class = |image| {
            report
                .class(image)
                .map_or(String::new(), |class| class.to_string())
        };
        print(format_args!(
            "  {} of {} neighbours are {}, {} are {}: {}",
            found.votes,
            found.neighbours.len(),
            escaped(&class(found.suggested_by)),
            found.own_votes,
            escaped(&class(found.image)),
            report.name(found.image)
        ))?;
    }
    print_more(found.len(), limit)
}

fn print_more(count: usize, limit: usize) -> Result<(), CliError> {
    match count.saturating_sub(limit) {
        0 => Ok(()),
        more => print(format_args!(
            "  and {more} more; print all with --all or --json"
        )),
    }
}

/// Prints one object: `groups` and `mislabelled`, and how they were found.
pub(super) fn print_report_json(report: &DuplicateReport, seconds: f64) -> Result<(), CliError> {
    print_json(as_json(report, seconds))
}

fn as_json(report: &DuplicateReport, seconds: f64) -> Value {
    let image = |image: usize| {
        let (images, row) = report.located(image);
        json!({
            "path": images.path(row),
            "row": row,
            "split": report.split(image),
            "label": report.class(image),
        })
    };
    let group = |group: &DuplicateGroup| {
        json!({
            "relation": group.relation,
            "distance": group.distance,
            "images": group.images.iter().map(|&of| image(of)).collect::<Vec<_>>(),
        })
    };
    let mislabelled = |found: &Mislabelled| {
        let mut object = image(found.image);
        let neighbours = found.neighbours.iter().map(|near| {
            let mut object = image(near.row);
            object["distance"] = json!(near.distance);
            object
        });
        object["suggested"] = json!(report.class(found.suggested_by));
        object["votes"] = json!(found.votes);
        object["own_votes"] = json!(found.own_votes);
        object["margin"] = json!(found.margin());
        object["neighbours"] = neighbours.collect();
        object
    };
    let splits = report
        .splits()
        .map(|(split, count)| (split.to_string(), json!(count)));
    json!({
        "images": report.count(),
        "splits": splits.collect::<serde_json::Map<_, _>>(),
        "threshold": report.threshold,
        "median_distance": report.median_distance,
        "incomplete": report.incomplete,
        "groups": report.groups.iter().map(group).collect::<Vec<_>>(),
        "mislabelled": report.mislabelled.iter().map(mislabelled).collect::<Vec<_>>(),
        "seconds": seconds,
    })
}
