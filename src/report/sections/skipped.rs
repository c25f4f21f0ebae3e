//! The images that were skipped.

use maud::{Markup, html};

use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::page::Section;
use crate::report::text::{count, name};
use crate::training::RunRecord;

/// Causes that are listed.
const LISTED: usize = 50;

/// The section of skipped images; `None` if there are none.
pub(crate) fn skipped(split: &EvaluatedSplit, record: &RunRecord) -> Option<Section> {
    let lists = [
        ("In this evaluation", &split.skipped),
        ("During the training", &record.skipped),
    ];
    lists
        .iter()
        .any(|(_, causes)| !causes.is_empty())
        .then(|| Section {
            id: "skipped",
            heading: "Skipped images".into(),
            body: html! {
                @for (heading, causes) in &lists {
                    @if !causes.is_empty() {
                        h3 { (heading) ": " (count(causes.len())) }
                        (list(causes))
                    }
                }
            },
        })
}

fn list(causes: &[String]) -> Markup {
    html! {
        ul.causes { @for cause in causes.iter().take(LISTED) { li { (name(cause)) } } }
        @if causes.len() > LISTED { p.quiet { "and " (count(causes.len() - LISTED)) " more" } }
    }
}
