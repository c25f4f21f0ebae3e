//! Two histograms over the same bins.

use maud::{Markup, html};

use super::axis::Axis;
use super::{AREA, HEIGHT, WIDTH};

/// Two histograms.
#[derive(Debug, Clone)]
pub(in crate::report) struct HistogramPlot<'a> {
    /// The start of the ids of its elements, unique on the page.
    pub id: &'static str,
    /// The title.
    pub title: &'static str,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// The name of the horizontal axis.
    pub x: &'static str,
    /// The end of the last bin; the first begins at 0.
    pub end: f64,
    /// Name and shares of the first, drawn as an area.
    pub first: (&'static str, &'a [f64]),
    /// Name and shares of the second, drawn hatched with a dashed edge.
    pub second: (&'static str, &'a [f64]),
}

impl HistogramPlot<'_> {
    /// The plot with its legend.
    pub(in crate::report) fn markup(&self) -> Markup {
        let both = self.first.1.iter().chain(self.second.1);
        let highest = both.copied().fold(0.0, f64::max);
        let (x, y) = (
            Axis::exact(0.0, self.end),
            Axis::new(0.0, highest.max(1e-9)),
        );
        let hatch = format!("{}-hatch", self.id);
        html! {
            figure {
                figcaption {
                    span.plot-title { (self.title) }
                    ul.legend {
                        li {
                            svg.swatch viewBox="0 0 34 12" aria-hidden="true" {
                                path.first d="M1,11V1H33V11Z" {}
                            }
                            (self.first.0)
                        }
                        li {
                            svg.swatch viewBox="0 0 34 12" aria-hidden="true" {
                                path.second d="M1,11V1H33V11Z" style={ "fill:url(#" (hatch) ")" } {}
                            }
                            (self.second.0)
                        }
                    }
                }
                svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                    aria-labelledby={ (self.id) "-title " (self.id) "-description" } {
                    title id={ (self.id) "-title" } { (self.title) }
                    desc id={ (self.id) "-description" } { (self.description) }
                    defs {
                        pattern #(hatch) width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                            line.hatch x1="0" x2="0" y1="0" y2="6" {}
                        }
                    }
                    (y.vertical(true))
                    (x.horizontal(self.x))
                    path.first d=(outline(self.first.1, self.end, &x, &y)) {}
                    path.second d=(outline(self.second.1, self.end, &x, &y)) style={ "fill:url(#" (hatch) ")" } {}
                }
            }
        }
    }
}

/// The outline of the bars of a histogram.
fn outline(shares: &[f64], end: f64, x: &Axis, y: &Axis) -> String {
    let mut path = format!("M{:.1},{:.1}", AREA[0], AREA[3]);
    for (bin, &share) in shares.iter().enumerate() {
        let right = end * (bin + 1) as f64 / shares.len() as f64;
        path += &format!("V{:.1}H{:.1}", y.y(share), x.x(right));
    }
    path + &format!("V{:.1}", AREA[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_begins_and_ends_on_the_axis() {
        let (x, y) = (Axis::exact(0.0, 2.0), Axis::exact(0.0, 1.0));
        assert_eq!(
            outline(&[0.0, 1.0], 2.0, &x, &y),
            "M60.0,236.0V236.0H259.0V12.0H458.0V236.0"
        );
    }
}
