//! Plots as SVG. Colours come from the style sheet of the page, so that plots follow light and dark; series differ
//! by dashes and marks too. Each plot has a title and a description for screen readers.

mod axis;
mod histogram;
mod lines;
mod marks;

pub(super) use histogram::HistogramPlot;
pub(super) use lines::{Level, LinePlot, Series};
pub(super) use marks::mark_path;

/// Width of a plot in its own units. On a narrow screen, the style sheet enlarges the text.
const WIDTH: f64 = 480.0;
/// Height of a plot.
const HEIGHT: f64 = 280.0;
/// The area of the data: left, top, right, bottom.
const AREA: [f64; 4] = [60.0, 12.0, 458.0, 236.0];
