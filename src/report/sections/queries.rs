//! The best and the worst queries with their nearest images.

use maud::{Markup, html};

use super::tile::{Kind, tile};
use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::images::Thumbnails;
use crate::report::neighbours::QueryNeighbours;
use crate::report::page::Section;
use crate::report::text::{count, percent};

/// The section of the worst queries; `None` if there are none.
pub(crate) fn worst_queries(
    split: &EvaluatedSplit,
    queries: &[QueryNeighbours],
    images: &Thumbnails,
) -> Option<Section> {
    let intro = "The queries with the lowest average precision, at most two of a class, with their nearest images.";
    (!queries.is_empty()).then(|| Section {
        id: "worst",
        heading: "Worst queries".into(),
        body: body(split, queries, images, intro),
    })
}

/// The section of the best queries; `None` if there are none.
pub(crate) fn best_queries(
    split: &EvaluatedSplit,
    queries: &[QueryNeighbours],
    images: &Thumbnails,
) -> Option<Section> {
    let intro = "The queries with the highest average precision, at most two of a class, with their nearest images.";
    (!queries.is_empty()).then(|| Section {
        id: "best",
        heading: "Best queries".into(),
        body: body(split, queries, images, intro),
    })
}

fn body(
    split: &EvaluatedSplit,
    queries: &[QueryNeighbours],
    images: &Thumbnails,
    intro: &str,
) -> Markup {
    html! {
        p {
            (intro) " Images of the query's class have a green frame and ✓, others a dashed red frame and ✗. "
            "The number is the distance to the query."
        }
        ol.neighbours {
            @for query in queries {
                @let measures = query.query.measures;
                li {
                    p.quiet {
                        "Nearest image of its class at rank " (count(measures.nearest)) ", average precision "
                        (percent(measures.average_precision))
                    }
                    div.row {
                        (tile(split, images, query.query.row, Kind::Query))
                        @for neighbour in &query.neighbours {
                            (tile(split, images, neighbour.row, Kind::Neighbour {
                                right: neighbour.right,
                                distance: neighbour.distance,
                            }))
                        }
                    }
                }
            }
        }
    }
}
