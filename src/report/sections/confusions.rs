//! Which class is taken for which.

use maud::{Markup, html};

use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::images::Thumbnails;
use crate::report::neighbours::Confusions;
use crate::report::page::Section;
use crate::report::text::{count, name, percent};

/// The section of the confusions.
pub(crate) fn confusions(
    split: &EvaluatedSplit,
    confusions: &Confusions,
    images: &Thumbnails,
) -> Section {
    Section {
        id: "confusions",
        heading: "Confused classes".into(),
        body: html! {
            @if confusions.pairs.is_empty() {
                p { "The nearest image of each query has its class." }
            } @else {
                (table(split, confusions, images))
            }
        },
    }
}

fn table(split: &EvaluatedSplit, confusions: &Confusions, images: &Thumbnails) -> Markup {
    let of_class = |class: usize| {
        let queries = split.queries.iter();
        queries
            .filter(|query| split.rows.labels[query.row] == class)
            .count()
    };
    let is_sample = confusions.searched < confusions.wrong;
    html! {
        p {
            "The nearest image of " (count(confusions.wrong)) " of " (count(split.queries.len()))
            " queries has another class. "
            @if is_sample { "Of these, " (count(confusions.searched)) " drawn at random were examined. " }
            @if confusions.different > confusions.pairs.len() {
                "Shown are the " (confusions.pairs.len()) " most frequent of " (count(confusions.different)) " pairs of classes. "
            }
            "The images are an example and its nearest image."
        }
        ol.confusions { @for pair in &confusions.pairs {
            li {
                (image(split, images, pair.example))
                span.arrow aria-hidden="true" { "→" }
                (image(split, images, pair.neighbour))
                p {
                    (name(split.class_name(pair.class))) span.quiet { " taken for " }
                    (name(split.class_name(pair.taken_for)))
                    span.quiet {
                        ": " (count(pair.queries)) @if pair.queries == 1 { " query" } @else { " queries" }
                        @if !is_sample {
                            ", " (percent(pair.queries as f64 / of_class(pair.class).max(1) as f64)) " of the class"
                        }
                    }
                }
            }
        } }
    }
}

fn image(split: &EvaluatedSplit, images: &Thumbnails, row: usize) -> Markup {
    let (class, file) = split.names(row);
    let (class, file) = (name(class), name(&file));
    html! {
        @match images.of(row) {
            Some(image) => img src=(image.uri) width=(image.width) height=(image.height) alt={ (class) ", " (file) } title=(file);,
            None if split.split.feature_dim().is_some() => span.unreadable title=(file) { (file) },
            None => span.unreadable { "cannot be read" },
        }
    }
}
