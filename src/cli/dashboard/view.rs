//! What the compact dashboard draws.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Paragraph};

use super::number::number;
use super::plots::draw_plots;
use crate::cli::training_state::{Phase, TrainingState};
use crate::training::Measured;

/// The width from which two tables, and two plots, are side by side.
const TWO_COLUMNS: u16 = 76;
/// The width of the table of the metrics.
const METRICS_WIDTH: u16 = 38;
/// The width of the table of the recalls.
const RECALLS_WIDTH: u16 = 36;
/// What the last line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// The keys.
    Keys,
    /// Whether to stop.
    Stop,
    /// The training stops.
    Stopping,
}

/// Draws the dashboard at any size; small sizes show the recalls first.
pub(super) fn draw(frame: &mut Frame, state: &TrainingState, prompt: Prompt, now: Instant) {
    let area = frame.area();
    let wide = area.width >= TWO_COLUMNS;
    let (metrics, recalls) = (metrics_table(state), recall_table(state));
    let table_rows = match wide {
        true => metrics.len().max(recalls.len()),
        false => metrics.len() + recalls.len(),
    };
    let [head, tables, plots, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(1 + u16::try_from(table_rows).unwrap_or(u16::MAX)),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, head, state, now);
    if wide {
        let [left, right] = Layout::horizontal([
            Constraint::Length(METRICS_WIDTH),
            Constraint::Length(RECALLS_WIDTH),
        ])
        .spacing(2)
        .areas(tables);
        frame.render_widget(Paragraph::new(metrics).block(below_blank_line()), left);
        frame.render_widget(Paragraph::new(recalls).block(below_blank_line()), right);
    } else {
        // On a small screen, the first metrics are worth more than the blank line and their headings.
        let all_fit = usize::from(tables.height) > table_rows;
        let (block, skipped) = match all_fit {
            true => (below_blank_line(), 0),
            false => (Block::new(), 1),
        };
        let metrics = metrics.into_iter().skip(skipped);
        let lines: Vec<Line> = recalls.into_iter().chain(metrics).collect();
        frame.render_widget(Paragraph::new(lines).block(block), tables);
    }
    draw_plots(frame, plots, state, wide);
    frame.render_widget(foot_line(prompt, area.width), foot);
}

fn below_blank_line() -> Block<'static> {
    Block::new().padding(ratatui::widgets::Padding::top(1))
}

/// The run, the progress of the training and of the epoch, and the figures.
fn draw_head(frame: &mut Frame, area: Rect, state: &TrainingState, now: Instant) {
    let [title, training, epoch, figures] =
        Layout::vertical([Constraint::Length(1); 4]).areas(area);
    let phase = match &state.phase {
        Phase::Training => "training",
        Phase::Validation => "validating",
        Phase::Task(name) => name,
    };
    let room = usize::from(title.width).saturating_sub(phase.chars().count() + 3);
    let run = shortened(&state.run, room);
    frame.render_widget(Line::from(format!(" {run}")).bold(), title);
    frame.render_widget(
        Line::from(format!("{phase} ")).right_aligned().cyan(),
        title,
    );

    let (done, total) = state.step;
    let share = done as f64 / total.max(1) as f64;
    let epochs = match state.phase {
        Phase::Training => {
            (state.epoch.saturating_sub(1) as f64 + share) / state.epochs.max(1) as f64
        }
        _ => state.epoch as f64 / state.epochs.max(1) as f64,
    };
    let epochs_text = format!("epoch {}/{}", state.epoch, state.epochs);
    let step_text = format!("images {done}/{total}");
    let width = epochs_text.len().max(step_text.len());
    let mut gauge = |area: Rect, text: String, ratio: f64, color: Color| {
        let ratio = ratio.clamp(0.0, 1.0);
        let [_, bar, percent] = Layout::horizontal([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(7),
        ])
        .areas(area);
        let gauge = LineGauge::default()
            .label(format!("{text:<width$}"))
            .ratio(ratio)
            .filled_symbol("█")
            .unfilled_symbol("░")
            .filled_style(Style::new().fg(color))
            .unfilled_style(Style::new().dark_gray());
        frame.render_widget(gauge, bar);
        frame.render_widget(
            Line::from(format!("{:3.0} % ", 100.0 * ratio)).right_aligned(),
            percent,
        );
    };
    gauge(training, epochs_text, epochs, Color::Yellow);
    gauge(epoch, step_text, share, Color::Green);
    let text = format!(" {}", state.figures(now).join("   "));
    frame.render_widget(Line::from(text), figures);
}

/// The last `room` characters of a path that is longer.
fn shortened(path: &str, room: usize) -> String {
    let count = path.chars().count();
    if count <= room {
        return path.to_string();
    }
    let end: String = path.chars().skip(count + 1 - room.max(1)).collect();
    format!("…{end}")
}

/// A row for each metric of the training steps.
fn metrics_table(state: &TrainingState) -> Vec<Line<'static>> {
    let number = |value: Option<f64>| value.map_or("-".to_string(), number);
    let row = |name: &str, last: &str, now: &str| format!(" {name:<14.14}{last:>11}{now:>11} ");
    let mut lines = vec![
        Line::from(row("training", "last epoch", "now"))
            .bold()
            .yellow(),
    ];
    lines.extend(
        state
            .metrics
            .iter()
            .map(|metric| Line::from(row(&metric.name, &number(metric.last), &number(metric.now)))),
    );
    lines
}

/// A row for each K.
fn recall_table(state: &TrainingState) -> Vec<Line<'static>> {
    let row = |name: &str, cells: [&str; 3]| {
        let [untrained, last, best] = cells;
        format!(" {name:<6}{untrained:>10}{last:>9}{best:>9} ")
    };
    let columns: [Option<(usize, &Measured)>; 3] = [
        state.untrained.as_ref().map(|measured| (0, measured)),
        state
            .last
            .as_ref()
            .map(|(epoch, measured)| (*epoch, measured)),
        state
            .best
            .as_ref()
            .map(|(epoch, measured)| (*epoch, measured)),
    ];
    let cells = |cell: &dyn Fn((usize, &Measured)) -> Option<String>| {
        columns.map(|column| column.and_then(cell).unwrap_or_else(|| "-".to_string()))
    };
    let line = |name: &str, cells: [String; 3]| row(name, cells.each_ref().map(String::as_str));
    let heading = row("recall", ["untrained", "last", "best"]);
    let epochs = line("epoch", cells(&|(epoch, _)| Some(epoch.to_string())));
    let mut lines = vec![
        Line::from(heading).bold().yellow(),
        Line::from(epochs).dim(),
    ];
    let ks = columns
        .iter()
        .flatten()
        .next()
        .map(|(_, measured)| measured.recall.at.keys());
    for k in ks.into_iter().flatten() {
        let percent = |(_, measured): (usize, &Measured)| {
            measured
                .recall
                .at
                .get(k)
                .map(|share| format!("{:.2}", 100.0 * share))
        };
        lines.push(Line::from(line(&format!("R@{k}"), cells(&percent))));
    }
    let map_at_r = |(_, measured): (usize, &Measured)| {
        let share = measured.map_at_r?;
        Some(format!("{:.2}", 100.0 * share))
    };
    lines.push(Line::from(line("MAP@R", cells(&map_at_r))));
    lines
}

/// The keys, or a question.
fn foot_line(prompt: Prompt, width: u16) -> Line<'static> {
    let key = |key: &'static str| Span::from(key).bold().yellow();
    let narrow = width < 60;
    match prompt {
        Prompt::Keys => Line::from(vec![
            key(" q"),
            Span::from(" stop   "),
            key("Ctrl-C"),
            Span::from(if narrow {
                " stop"
            } else {
                " stop, twice: leave at once"
            }),
        ]),
        Prompt::Stop => Line::from(vec![
            Span::from(if narrow {
                " stop?   "
            } else {
                " stop after this step and save a checkpoint?   "
            }),
            key("s"),
            Span::from(" stop   "),
            key("c"),
            Span::from(" continue"),
        ]),
        Prompt::Stopping => Line::from(vec![
            Span::from(" stopping after this step").bold(),
            Span::from(if narrow {
                ""
            } else {
                "; Ctrl-C again leaves at once"
            }),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::cli::training_state::tests::running;

    /// The lines of the dashboard at a size.
    fn screen(state: &TrainingState, width: u16, height: u16) -> Vec<String> {
        let since = Instant::now();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| {
                draw(
                    frame,
                    state,
                    Prompt::Keys,
                    since + std::time::Duration::from_secs(7),
                )
            })
            .unwrap();
        let buffer = terminal.backend().buffer();
        buffer
            .content()
            .chunks(width.into())
            .map(|cells| cells.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }

    fn has(screen: &[String], text: &str) -> bool {
        screen.iter().any(|line| line.contains(text))
    }

    #[test]
    fn every_metric_and_recall_and_the_keys_fit_80_by_24() {
        let screen = screen(&running(Instant::now()), 80, 24);
        let text = screen.join("\n");
        for part in [
            "artifacts/quickstart-1",
            "epoch 3/20",
            "images 50/100",
            "50 images/s",
            "left",
            "recall",
            "untrained",
            " R@1        26.00    61.00    71.00",
            " R@8        33.00    68.00    78.00",
            " MAP@R      12.50    30.00    35.00",
            " Loss               0.5000     0.1250",
            " Learning Rate     1.00e-4          -",
            "┌ loss ",
            "┌ R@1 % ",
            " q stop   Ctrl-C stop",
        ] {
            assert!(has(&screen, part), "{part} is missing:\n{text}");
        }
        assert!(screen[23].starts_with(" q stop"), "{text}");
    }

    #[test]
    fn large_screen_has_the_same_with_larger_plots() {
        let screen = screen(&running(Instant::now()), 200, 50);
        let text = screen.join("\n");
        for part in ["epoch 3/20", "R@8", "Learning Rate", "┌ R@1 % "] {
            assert!(has(&screen, part), "{part} is missing:\n{text}");
        }
        assert!(screen[49].starts_with(" q stop"), "{text}");
    }

    #[test]
    fn small_screen_shows_progress_recalls_and_keys() {
        let screen = screen(&running(Instant::now()), 40, 13);
        let text = screen.join("\n");
        for part in [
            "epoch 3/20",
            "50 images/s",
            "R@1",
            "R@8",
            "78.00",
            " Loss",
            " q stop",
        ] {
            assert!(has(&screen, part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn every_size_can_be_drawn() {
        let states = [TrainingState::default(), running(Instant::now())];
        for state in &states {
            for (width, height) in [
                (1, 1),
                (2, 3),
                (10, 4),
                (39, 11),
                (76, 5),
                (300, 2),
                (40, 100),
            ] {
                screen(state, width, height);
            }
        }
    }

    #[test]
    fn long_path_keeps_its_end() {
        assert_eq!(shortened("artifacts/run-1", 15), "artifacts/run-1");
        assert_eq!(shortened("artifacts/run-1", 6), "…run-1");
        assert_eq!(shortened("artifacts/run-1", 0), "…");
    }
}
