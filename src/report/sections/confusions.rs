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
                "The " (confusions.pairs.len()) " most frequent of " (count(confusions.different)) " pairs of classes:"
            }
        }
        div.scroll role="region" aria-label="Confused classes" tabindex="0" {
            table.confusions {
                thead { tr {
                    th scope="col" { "Class" }
                    th scope="col" { "taken for" }
                    th.number scope="col" { "Queries" }
                    @if !is_sample { th.number scope="col" { "of the class" } }
                    th scope="col" { "Example and its nearest image" }
                } }
                tbody { @for pair in &confusions.pairs { tr {
                    th scope="row" { (name(split.class_name(pair.class))) }
                    td { (name(split.class_name(pair.taken_for))) }
                    td.number { (count(pair.queries)) }
                    @if !is_sample {
                        td.number { (percent(pair.queries as f64 / of_class(pair.class).max(1) as f64)) }
                    }
                    td { div.examples {
                        @for row in [pair.example, pair.neighbour] {
                            @let (class, file) = split.names(row);
                            @if let Some(image) = images.of(row) {
                                img src=(image.uri) width=(image.width) height=(image.height)
                                    alt={ (name(class)) ", " (name(&file)) } title=(name(&file));
                            } @else { span.quiet { "cannot be read" } }
                        }
                    } }
                } } }
            }
        }
    }
}
