//! The page of near duplicates and likely mislabelled images.

use maud::{Markup, html};

use super::page::{Page, Section};
use super::tile::{Thumbnails, Tile, missing, thumbnails};
use crate::cancellation::Cancelled;
use crate::inference::duplicates::{DuplicateReport, Mislabelled, Relation};
use crate::progress::Monitor;

/// The most groups of each relation that are shown.
const MOST_GROUPS: usize = 40;

/// The most images of a group that are shown.
const MOST_OF_GROUP: usize = 12;

/// The most mislabelled images that are shown.
const MOST_MISLABELLED: usize = 60;

/// The most neighbours of a mislabelled image that are shown.
const MOST_NEIGHBOURS: usize = 10;

/// Draws the page of near duplicates. At most 40 groups of each relation and 60 mislabelled images are shown, the first
/// ones. Also returns the number of images that cannot be shown.
///
/// # Errors
/// If a stop was requested.
pub fn duplicates_page(
    report: &DuplicateReport,
    title: String,
    monitor: Monitor<'_>,
) -> Result<(String, usize), Cancelled> {
    let shown = Shown::new(report, monitor)?;
    let relations = [
        (Relation::AcrossSplits, "across-splits", "Across splits"),
        (Relation::AcrossClasses, "across-classes", "Across classes"),
        (Relation::WithinClass, "within-class", "Within a class"),
    ];
    let mut sections: Vec<Section> = relations
        .map(|(relation, id, heading)| Section {
            id,
            heading: format!("{heading} ({})", count(report, relation)),
            body: shown.groups(relation),
        })
        .into_iter()
        .filter(|section| !section.heading.ends_with("(0)"))
        .collect();
    if !report.mislabelled.is_empty() {
        sections.push(Section {
            id: "mislabelled",
            heading: format!("Likely mislabelled ({})", report.mislabelled.len()),
            body: shown.mislabelled(),
        });
    }
    let page = Page {
        kind: "duplicates",
        title,
        summary: html! {
            p { (report.count()) " images. Near duplicates: distance up to " (format!("{:.6}", report.threshold))
                "; the median distance to the nearest image is " (format!("{:.6}", report.median_distance)) "." }
            @if sections.is_empty() { p { "No near duplicates, and no likely mislabelled images." } }
            @if report.incomplete > 0 {
                p.note { (report.incomplete) " images have only near duplicates among their neighbours, so there may be \
                    more of them." }
            }
        },
        sections,
        script: "",
    };
    Ok((page.to_html(), missing(&shown.images)))
}

fn count(report: &DuplicateReport, relation: Relation) -> usize {
    let groups = report.groups.iter();
    groups.filter(|group| group.relation == relation).count()
}

/// What is shown of a report, with its images.
struct Shown<'a> {
    report: &'a DuplicateReport,
    images: Thumbnails,
}

impl<'a> Shown<'a> {
    fn new(report: &'a DuplicateReport, monitor: Monitor<'_>) -> Result<Self, Cancelled> {
        let relations = [
            Relation::AcrossSplits,
            Relation::AcrossClasses,
            Relation::WithinClass,
        ];
        let groups = relations.into_iter().flat_map(|relation| {
            let groups = report
                .groups
                .iter()
                .filter(move |group| group.relation == relation);
            groups.take(MOST_GROUPS)
        });
        let grouped = groups.flat_map(|group| group.images.iter().take(MOST_OF_GROUP).copied());
        let mislabelled = report.mislabelled.iter().take(MOST_MISLABELLED);
        let voted = mislabelled.flat_map(|found| {
            let neighbours = found.neighbours.iter().take(MOST_NEIGHBOURS);
            [found.image]
                .into_iter()
                .chain(neighbours.map(|near| near.row))
        });
        let numbers = grouped.chain(voted).collect();
        let locate = |image| report.located(image);
        Ok(Self {
            images: thumbnails(numbers, locate, "drawing images", monitor)?,
            report,
        })
    }

    fn groups(&self, relation: Relation) -> Markup {
        let groups = self.report.groups.iter();
        let groups: Vec<_> = groups.filter(|group| group.relation == relation).collect();
        let meaning = match relation {
            Relation::AcrossSplits => {
                "A network is trained on an image by which it is evaluated. Remove one of the two."
            }
            Relation::AcrossClasses => "One of the classes must be wrong.",
            Relation::WithinClass => "They count twice. Remove all but one.",
        };
        html! {
            p.quiet { (meaning) @if groups.len() > MOST_GROUPS { " The first " (MOST_GROUPS) " groups are shown." } }
            ol.neighbours {
                @for group in groups.iter().take(MOST_GROUPS) {
                    li {
                        @for &image in group.images.iter().take(MOST_OF_GROUP) {
                            (self.tile(image, "near duplicate", Vec::new(), false, None))
                        }
                        @if group.images.len() > MOST_OF_GROUP {
                            p.quiet { "and " (group.images.len() - MOST_OF_GROUP) " more" }
                        }
                    }
                }
            }
        }
    }

    fn mislabelled(&self) -> Markup {
        let found = &self.report.mislabelled;
        html! {
            p.quiet {
                "Each row is an image whose nearest images are of another class, then these. ✓ and a green frame: the \
                 class that the image has. ✗ and a dashed red frame: another class."
                @if found.len() > MOST_MISLABELLED { " The first " (MOST_MISLABELLED) " are shown." }
            }
            ol.neighbours {
                @for found in found.iter().take(MOST_MISLABELLED) {
                    li {
                        (self.tile(found.image, "image", vec![self.votes(found)], true, None))
                        @for near in found.neighbours.iter().take(MOST_NEIGHBOURS) {
                            (self.tile(
                                near.row,
                                "neighbour",
                                vec![format!("{:.4}", near.distance)],
                                false,
                                Some(self.report.class(near.row) == self.report.class(found.image)),
                            ))
                        }
                    }
                }
            }
        }
    }

    /// The class that neighbours suggest, with their votes.
    fn votes(&self, found: &Mislabelled) -> String {
        let suggested = self.report.class(found.suggested_by);
        let suggested = suggested.map_or(String::new(), |class| class.to_string());
        format!("{suggested}? {} of {}", found.votes, found.neighbours.len())
    }

    fn tile(
        &self,
        image: usize,
        role: &str,
        more: Vec<String>,
        is_query: bool,
        is_right: Option<bool>,
    ) -> Markup {
        let report = self.report;
        let (name, split) = (report.name(image), report.split(image));
        let class = report.class(image).map(|class| class.to_string());
        let of_class = class.as_ref().map(|class| format!(", class {class}"));
        let text = format!("{role} {name}, {split}{}", of_class.unwrap_or_default());
        let tile = Tile {
            text,
            name,
            lines: [Some(split.to_string()), class]
                .into_iter()
                .flatten()
                .chain(more)
                .collect(),
            image: self.images.get(&image).and_then(Option::as_ref),
            is_query,
            is_right,
        };
        tile.markup()
    }
}
