//! Published figures for the dataset and loss of a run.
//!
//! `published.csv` has the rows of tables 2 to 4 of Embedding Expansion (Ko and Gu, CVPR 2020, arXiv 2003.02546) for
//! the losses and strategies that are here too. LoOp's own table is not included.

use maud::{Markup, html};

use crate::report::page::Section;
use crate::report::run_files::RunFiles;

const TABLE: &str = include_str!("../published.csv");

/// The columns of the measures.
const MEASURES: [&str; 8] = ["NMI", "F1", "R@1", "R@2", "R@4", "R@8", "R@10", "R@100"];

/// A published result.
struct Published<'a> {
    negatives: &'a str,
    /// In per cent, in the order of [`MEASURES`]; empty if not published.
    measures: Vec<&'a str>,
}

/// The section of published figures; `None` if there are none for the dataset, the loss and the backbone.
pub(crate) fn published(files: &RunFiles) -> Option<Section> {
    let config = &files.config;
    let rows = rows(config.data.source.name(), config.loss.kind.name());
    let is_published_network = config.model.backbone.name() == "googlenet";
    (is_published_network && !rows.is_empty()).then(|| Section {
        id: "published",
        heading: "Published figures".into(),
        body: body(config.data.source.name(), config.loss.kind.name(), &rows),
    })
}

fn rows<'a>(dataset: &str, loss: &str) -> Vec<Published<'a>> {
    let lines = TABLE.lines().skip(1).map(|line| line.split(','));
    let rows = lines.filter_map(|mut cells| {
        let (of, by) = (cells.next()?, cells.next()?);
        let negatives = cells.next()?;
        (of == dataset && by == loss).then(|| Published {
            negatives,
            measures: cells.collect(),
        })
    });
    rows.collect()
}

fn body(dataset: &str, loss: &str, rows: &[Published<'_>]) -> Markup {
    let is_known = |at: &usize| rows.iter().any(|row| !row.measures[*at].is_empty());
    let columns: Vec<usize> = (0..MEASURES.len()).filter(is_known).collect();
    html! {
        div.scroll role="region" aria-label="Published figures" tabindex="0" {
            table {
                caption { (loss) " on " (dataset) ", in per cent" }
                thead { tr {
                    th scope="col" { "Negatives" }
                    @for &at in &columns { th.number scope="col" { (MEASURES[at]) } }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (row.negatives) }
                    @for &at in &columns { td.number { (row.measures[at]) } }
                } } }
            }
        }
        p.quiet {
            "From Ko and Gu, Embedding Expansion, CVPR 2020 (arXiv 2003.02546): GoogLeNet, 512 dimensions, the epoch "
            "chosen on the test split. A run with another input size, dimension or protocol is not comparable."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_paper() {
        let found = rows("cars196", "hphn-triplet");
        let names: Vec<&str> = found.iter().map(|row| row.negatives).collect();
        assert_eq!(names, ["none", "embedding-expansion"]);
        assert_eq!(found[1].measures[2], "71.6");
        assert_eq!(
            rows("sop", "multi-similarity")[1].measures,
            ["91.9", "46.1", "78.1", "", "", "", "90.3", "95.8"]
        );
        assert!(rows("synthetic", "triplet").is_empty());
        let html = body("sop", "triplet", &rows("sop", "triplet")).into_string();
        assert!(html.contains("R@100") && !html.contains("R@2<"), "{html}");
    }
}
