//! An axis with ticks at round numbers.

use maud::{Markup, html};

use super::{AREA, HEIGHT};

/// Intervals between ticks, about.
const INTERVALS: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// An axis that contains the numbers `low` to `high`, from a tick to a tick.
    pub(super) fn new(low: f64, high: f64) -> Self {
        let (low, high) = match high > low {
            true => (low, high),
            // One number in the middle.
            false => (
                low - 0.5 * low.abs().max(1.0),
                low + 0.5 * low.abs().max(1.0),
            ),
        };
        let step = round_step((high - low) / INTERVALS);
        Self {
            low: (low / step + 1e-9).floor() * step,
            high: (high / step - 1e-9).ceil() * step,
            step,
        }
    }

    /// An axis that ends exactly at `low` and `high`.
    pub(super) fn exact(low: f64, high: f64) -> Self {
        let axis = Self::new(low, high);
        match high > low {
            true => Self { low, high, ..axis },
            false => axis,
        }
    }

    /// The ticks.
    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step)
    }

    /// The place of a number between `from` and `to`.
    pub(super) fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (value - self.low) / (self.high - self.low) * (to - from)
    }

    /// The horizontal place of a number in the area of the data.
    pub(super) fn x(&self, value: f64) -> f64 {
        self.place(value, AREA[0], AREA[2])
    }

    /// The vertical place of a number in the area of the data.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.place(value, AREA[3], AREA[1])
    }

    /// The text of a tick.
    fn text(&self, value: f64, percent: bool) -> String {
        let (value, step) = match percent {
            true => (100.0 * value, 100.0 * self.step),
            false => (value, self.step),
        };
        let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{value:.decimals$}");
        if percent { text + " %" } else { text }
    }

    /// The ticks, lines and name of a vertical axis.
    pub(super) fn vertical(&self, percent: bool) -> Markup {
        html! {
            @for tick in self.ticks() {
                @let y = format!("{:.1}", self.y(tick));
                line.grid x1=(AREA[0]) x2=(AREA[2]) y1=(y) y2=(y) {}
                text x=(AREA[0] - 8.0) y=(y) dy="0.35em" text-anchor="end" { (self.text(tick, percent)) }
            }
        }
    }

    /// The ticks and name of a horizontal axis.
    pub(super) fn horizontal(&self, name: &str) -> Markup {
        html! {
            line.axis x1=(AREA[0]) x2=(AREA[2]) y1=(AREA[3]) y2=(AREA[3]) {}
            @for tick in self.ticks() {
                @let x = format!("{:.1}", self.x(tick));
                line.axis x1=(x) x2=(x) y1=(AREA[3]) y2=(AREA[3] + 4.0) {}
                text x=(x) y=(AREA[3] + 20.0) text-anchor="middle" { (self.text(tick, false)) }
            }
            text x=(AREA[2]) y=(HEIGHT - 4.0) text-anchor="end" { (name) }
        }
    }
}

/// Rounds a positive number to 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    let digit = match step / power {
        ..1.5 => 1.0,
        ..3.5 => 2.0,
        ..7.5 => 5.0,
        _ => 10.0,
    };
    digit * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis, percent: bool) -> Vec<String> {
        axis.ticks().map(|tick| axis.text(tick, percent)).collect()
    }

    #[test]
    fn ticks_are_round_and_contain_the_numbers() {
        let texts_of = |low, high| texts(&Axis::new(low, high), false);
        assert_eq!(
            texts_of(0.0, 0.47),
            ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
        );
        assert_eq!(
            texts_of(0.0, 600.0),
            ["0", "100", "200", "300", "400", "500", "600"]
        );
        assert_eq!(texts_of(-3.0, 8.0), ["-4", "-2", "0", "2", "4", "6", "8"]);
        assert_eq!(
            texts(&Axis::new(0.9, 1.0), true),
            ["90 %", "92 %", "94 %", "96 %", "98 %", "100 %"]
        );
    }

    #[test]
    fn one_number_is_in_the_middle_and_exact_ends_are_kept() {
        let axis = Axis::new(3.0, 3.0);
        assert!(axis.low < 3.0 && axis.high > 3.0);
        let axis = Axis::exact(0.0, 1.37);
        assert_eq!((axis.x(0.0), axis.x(1.37)), (AREA[0], AREA[2]));
        assert!(axis.ticks().all(|tick| (0.0..=1.37).contains(&tick)));
    }
}
