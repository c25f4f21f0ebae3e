//! An image with its class.

use maud::{Markup, html};

use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::images::Thumbnails;
use crate::report::text::name;

/// What an image is beside a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// The query.
    Query,
    /// A neighbour at this distance.
    Neighbour {
        /// Whether it has the query's class.
        right: bool,
        /// Its distance.
        distance: f64,
    },
}

/// The image of a row: its frame says whether it is right by colour, line and sign.
pub(super) fn tile(split: &EvaluatedSplit, images: &Thumbnails, row: usize, kind: Kind) -> Markup {
    let (class, file) = split.names(row);
    let (class, file) = (name(class), name(&file));
    let (style, sign, words) = match kind {
        Kind::Query => ("tile query", "", "query"),
        Kind::Neighbour { right: true, .. } => ("tile right", "✓", "right"),
        Kind::Neighbour { right: false, .. } => ("tile wrong", "✗", "wrong"),
    };
    html! {
        figure class=(style) title={ (class) ", " (file) } {
            div.frame {
                @match images.of(row) {
                    Some(image) => img src=(image.uri) width=(image.width) height=(image.height) alt={ (class) ", " (file) };,
                    // Features have no picture.
                    None if split.split.feature_dim().is_some() => span { (file) },
                    None => span { "cannot be read" },
                }
                @if !sign.is_empty() { span.mark aria-hidden="true" { (sign) } }
            }
            figcaption {
                span.hidden-text { (words) ": " }
                span.name { (class) }
                @match kind {
                    Kind::Query => "query",
                    Kind::Neighbour { distance, .. } => (format!("{distance:.3}")),
                }
            }
        }
    }
}
