//! A plot of lines over epochs.

use maud::{Markup, html};

use super::axis::Axis;
use super::marks::{colour, dashes, mark_path};
use super::{AREA, HEIGHT, WIDTH};
use crate::report::text::percent;

/// The most points of a line. Of more, equal numbers are averaged.
const POINTS: usize = 300;
/// The most marks on a line.
const MARKS: usize = 14;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, x ascending. Those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// A horizontal line.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Level {
    /// Its name, beside it.
    pub name: String,
    /// Its height.
    pub value: f64,
}

/// A plot of lines.
#[derive(Debug, Clone)]
pub(in crate::report) struct LinePlot {
    /// The start of the ids of its elements, unique on the page.
    pub id: &'static str,
    /// The title.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// The name of the horizontal axis.
    pub x: &'static str,
    /// Whether numbers are shares, shown in per cent from 0 to 100.
    pub percent: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Horizontal lines.
    pub levels: Vec<Level>,
}

impl LinePlot {
    /// The plot with its legend; nothing without points.
    pub(in crate::report) fn markup(&self) -> Markup {
        let lines: Vec<Vec<(f64, f64)>> = self.series.iter().map(|s| averaged(&s.points)).collect();
        let all = || lines.iter().flatten();
        if all().next().is_none() {
            return html! {};
        }
        let bounds = |numbers: &mut dyn Iterator<Item = f64>| {
            numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                (low.min(x), high.max(x))
            })
        };
        let epochs = self.series.iter().flat_map(|series| &series.points);
        let (left, right) = bounds(&mut epochs.map(|point| point.0));
        let levels = self.levels.iter().map(|level| level.value);
        let (low, high) = bounds(&mut all().map(|point| point.1).chain(levels));
        let x = Axis::exact(left.min(0.0), right);
        let y = match self.percent {
            true => Axis::exact(0.0, 1.0),
            false => Axis::new(low.min(0.0), high),
        };
        let value = |y: f64| match self.percent {
            true => percent(y),
            false => format!("{y:.4}"),
        };
        html! {
            figure {
                figcaption {
                    span.plot-title { (self.title) }
                    (self.legend())
                }
                svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                    aria-labelledby={ (self.id) "-title " (self.id) "-description" } {
                    title id={ (self.id) "-title" } { (self.title) }
                    desc id={ (self.id) "-description" } { (self.description) }
                    (y.vertical(self.percent))
                    (x.horizontal(self.x))
                    @for level in &self.levels {
                        @let at = format!("{:.1}", y.y(level.value));
                        line.level x1=(AREA[0]) x2=(AREA[2]) y1=(at) y2=(at) {}
                        text.level-name x=(AREA[2] - 4.0) y=(at) dy="-0.4em" text-anchor="end" { (level.name) }
                    }
                    @for (index, points) in lines.iter().enumerate() {
                        polyline.series points=(path(points, &x, &y)) style={ "stroke:" (colour(index)) }
                            stroke-dasharray=(dashes(index)) {}
                        @for (epoch, number) in marked(points) {
                            path.mark d=(mark_path(index)) style={ "fill:" (colour(index)) }
                                transform={ "translate(" (format!("{:.1} {:.1}", x.x(epoch), y.y(number))) ")" } {
                                title { (self.series[index].name) ", " (self.x) " " (epoch) ": " (value(number)) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        if self.series.len() < 2 {
            return html! {};
        }
        html! {
            ul.legend {
                @for (index, series) in self.series.iter().enumerate() {
                    li {
                        svg.swatch viewBox="0 0 34 12" aria-hidden="true" {
                            line x1="1" x2="33" y1="6" y2="6" style={ "stroke:" (colour(index)) }
                                stroke-width="2" stroke-dasharray=(dashes(index)) {}
                            path d=(mark_path(index)) transform="translate(17 6)" style={ "fill:" (colour(index)) } {}
                        }
                        (series.name)
                    }
                }
            }
        }
    }
}

/// The finite points, and of many the averages of equal numbers of neighbours.
fn averaged(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite());
    let finite: Vec<(f64, f64)> = finite.copied().collect();
    let together = finite.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    match together {
        1 => finite,
        _ => finite.chunks(together).map(mean).collect(),
    }
}

/// The points that have a mark.
fn marked(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    // A long line of averages has no marks: they are no epochs.
    match points.len() {
        ..=MARKS => points.to_vec(),
        ..=POINTS if points.iter().all(|(x, _)| x.fract() == 0.0) => points
            .iter()
            .copied()
            .step_by(points.len().div_ceil(MARKS))
            .collect(),
        _ => Vec::new(),
    }
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let point = |&(a, b): &(f64, f64)| format!("{:.1},{:.1}", x.x(a), y.y(b));
    points.iter().map(point).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> String {
        let series = Series {
            name: "<b>".into(),
            points,
        };
        LinePlot {
            id: "loss",
            title: "Loss".into(),
            description: "The loss".into(),
            x: "epoch",
            percent: false,
            series: vec![series.clone(), series],
            levels: Vec::new(),
        }
        .markup()
        .into_string()
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_out_and_names_escaped() {
        let html = plot(vec![(0.0, f64::NAN), (1.0, f64::INFINITY), (2.0, 0.5)]);
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
        assert_eq!(plot(vec![(0.0, f64::NAN)]), "");
        assert_eq!(plot(vec![]), "");
    }

    #[test]
    fn long_lines_are_averaged() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 2.0)).collect();
        let shown = averaged(&points);
        assert!(shown.len() <= POINTS, "{}", shown.len());
        assert!(shown.iter().all(|point| point.1 == 2.0));
        assert!(plot(points).len() < 20_000);
    }
}
