//! The plots of the compact dashboard.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

use super::number::label;
use crate::cli::training_state::TrainingState;

/// The width and height of the smallest plot.
const PLOT: (u16, u16) = (24, 6);

/// The loss and Recall@1 by epoch, if there is room.
pub(super) fn draw_plots(frame: &mut Frame, area: Rect, state: &TrainingState, wide: bool) {
    if area.height < PLOT.1 || area.width < PLOT.0 {
        return;
    }
    let plots = [
        (" loss ", &state.losses, Color::LightRed),
        (" R@1 % ", &state.recalls, Color::LightBlue),
    ];
    let areas = match wide {
        true => Layout::horizontal([Constraint::Fill(1); 2]).split(area),
        false => Layout::horizontal([Constraint::Fill(1)]).split(area),
    };
    // With room for one plot, it is that of the recall.
    let plots = plots.iter().skip(2 - areas.len());
    for (&area, (title, points, color)) in areas.iter().zip(plots) {
        draw_plot(frame, area, title, points, *color);
    }
}

fn draw_plot(
    frame: &mut Frame,
    area: Rect,
    title: &'static str,
    points: &[(f64, f64)],
    color: Color,
) {
    let finite = points.iter().filter(|(_, y)| y.is_finite());
    let points: Vec<(f64, f64)> = finite.copied().collect();
    let block = Block::bordered()
        .title(title)
        .border_style(Style::new().dark_gray());
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        frame.render_widget(block, area);
        return;
    };
    let low = points.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let high = points
        .iter()
        .map(|(_, y)| *y)
        .fold(f64::NEG_INFINITY, f64::max);
    let room = if high > low {
        0.0
    } else {
        0.5 * low.abs().max(1e-3)
    };
    let (low, high) = (low - room, high + room);
    let dataset = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(color))
        .data(&points);
    let chart = Chart::new(vec![dataset])
        .block(block)
        .x_axis(
            Axis::default()
                .bounds([first.0, last.0.max(first.0 + 1.0)])
                .labels([first.0, last.0.max(first.0 + 1.0)].map(|epoch| format!("{epoch:.0}"))),
        )
        .y_axis(
            Axis::default()
                .bounds([low, high])
                .labels([low, high].map(label)),
        );
    frame.render_widget(chart, area);
}
