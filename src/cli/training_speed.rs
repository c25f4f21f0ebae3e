//! The speed of a training, and the time left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Training time over which the speed is averaged.
const SPEED_WINDOW: Duration = Duration::from_secs(10);

/// The speed of a training.
#[derive(Default)]
pub(super) struct Speed {
    /// `None` before the training loop.
    clock: Option<Clock>,
    /// Epochs that were done when the training was resumed, with the share of the last one.
    resumed: f64,
    /// Steps of the resumed epoch that were taken before, until the first step.
    steps_before: u64,
    /// Epochs done, with the share of the current one.
    done: f64,
    /// Images of the current epoch so far.
    images_of_epoch: u64,
    /// Training time and trained images in total, at the last steps.
    window: VecDeque<(Duration, u64)>,
}

#[derive(Clone, Copy)]
struct Clock {
    /// The start of the training loop.
    since: Instant,
    /// The end of the last training step or epoch.
    mark: Instant,
}

impl Speed {
    /// The training loop begins after the epoch `resumed` and `steps` steps of the next one.
    pub(super) fn new(resumed: usize, steps: usize, now: Instant) -> Self {
        Self {
            steps_before: steps as u64,
            clock: Some(Clock {
                since: now,
                mark: now,
            }),
            resumed: resumed as f64,
            done: resumed as f64,
            ..Self::default()
        }
    }

    /// A step of `epoch`, counted from 1, has ended: `images` of its `total` are trained.
    pub(super) fn step(&mut self, epoch: usize, images: u64, total: u64, now: Instant) {
        let share = |images: u64| (images as f64 / total.max(1) as f64).min(1.0);
        let complete = epoch.saturating_sub(1) as f64;
        self.done = complete + share(images);
        if self.steps_before > 0 {
            // All steps of an epoch have the same number of images.
            let before = images - images / (self.steps_before + 1);
            self.images_of_epoch = before;
            self.resumed = complete + share(before);
            self.steps_before = 0;
        }
        let Some(clock) = &mut self.clock else {
            return;
        };
        let (time, count) = self.window.back().copied().unwrap_or_default();
        if self.window.is_empty() {
            self.window.push_back((time, count));
        }
        let time = time + now.duration_since(clock.mark);
        clock.mark = now;
        let new = images.saturating_sub(self.images_of_epoch);
        self.images_of_epoch = images;
        self.window.push_back((time, count + new));
        while self.window.len() > 2 && time.saturating_sub(self.window[1].0) > SPEED_WINDOW {
            self.window.pop_front();
        }
    }

    /// An epoch has ended, with its validation.
    pub(super) fn epoch_ended(&mut self, epoch: usize, now: Instant) {
        self.done = epoch as f64;
        self.images_of_epoch = 0;
        if let Some(clock) = &mut self.clock {
            clock.mark = now;
        }
    }

    /// Images trained per second, without validation, over the last seconds.
    pub(super) fn images_per_second(&self) -> Option<f64> {
        let first = self.window.front()?;
        let last = self.window.back()?;
        let seconds = (last.0 - first.0).as_secs_f64();
        (seconds > 0.0).then(|| (last.1 - first.1) as f64 / seconds)
    }

    /// The time until `epochs` are done, at the speed since the training loop began.
    pub(super) fn time_left(&self, epochs: usize, now: Instant) -> Option<Duration> {
        let elapsed = now.duration_since(self.clock?.since);
        let left = (epochs as f64 - self.done) / (self.done - self.resumed);
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * left.max(0.0)).ok()
    }
}

/// A number above 0 with at least two digits, such as 0.53, 5.3 or 534.
pub(super) fn significant(number: f64) -> String {
    let decimals = match number {
        ..1.0 => 2,
        1.0..10.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

/// A duration in its two largest units.
pub(super) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let words = [59, 60, 3599, 3600, 86_399, 90_000].map(|s| in_words(Duration::from_secs(s)));
        assert_eq!(
            words,
            [
                "59 s",
                "1 min 00 s",
                "59 min 59 s",
                "1 h 00 min",
                "23 h 59 min",
                "1 d 01 h"
            ]
        );
    }
}
