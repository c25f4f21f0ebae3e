//! The distances of images of one class and of different classes.

use maud::html;

use crate::report::distances::{DistanceSample, mean};
use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::page::Section;
use crate::report::plot::HistogramPlot;
use crate::report::text::{count, percent};

/// The section of the histograms.
pub(crate) fn distances(split: &EvaluatedSplit, sample: &DistanceSample) -> Section {
    let histograms = sample.histograms();
    let (positive, negative) = (mean(&sample.positive), mean(&sample.negative));
    let separation = percent(sample.separation());
    let plot = HistogramPlot {
        id: "distances-plot",
        title: "Share of the pairs by distance",
        description: format!(
            "Images of one class have a mean distance of {positive:.3}, images of different classes {negative:.3}."
        ),
        x: "Euclidean distance",
        end: histograms.end,
        first: ("same class", &histograms.positive),
        second: ("different classes", &histograms.negative),
    };
    Section {
        id: "distances",
        heading: "Distances".into(),
        body: html! {
            div.pair {
                (plot.markup())
                div {
                    table {
                        thead { tr { th scope="col" { "Pairs of the test split" } th.number scope="col" { "Mean distance" } } }
                        tbody {
                            tr { th scope="row" { "same class" } td.number { (format!("{positive:.3}")) } }
                            tr { th scope="row" { "different classes" } td.number { (format!("{negative:.3}")) } }
                            tr { th scope="row" { "ratio" } td.number {
                                @if negative > 0.0 { (format!("{:.3}", positive / negative)) } @else { "none" }
                            } }
                        }
                    }
                    p {
                        "A pair of one class is nearer than a pair of different classes in " (separation)
                        " of all comparisons; 50 % is chance."
                    }
                    p.quiet {
                        (count(sample.positive.len())) " pairs of each kind, drawn at random among the " (count(split.rows.len()))
                        " images. The less the histograms overlap, the better a threshold on the distance works."
                    }
                }
            }
        },
    }
}
