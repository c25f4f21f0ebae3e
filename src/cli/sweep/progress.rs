//! The progress of a sweep on standard error: a line for each run that ends, and in a terminal a line for each that
//! trains.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::output::status;
use crate::cli::progress::duration;
use crate::escape::escaped;
use crate::sweep::{FailedRun, Sweep, SweepEvent};
use crate::training::RunFolder;

/// Time between two looks at the epochs of the runs that train.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A run that trains, in a terminal.
const BAR: &str = "  {msg} {wide_bar} {human_pos}/{human_len} epochs {elapsed}";

/// The progress of a sweep.
pub(super) struct SweepProgress<'a> {
    sweep: &'a Sweep,
    /// The lines of the runs that train; `None` without a terminal.
    table: Option<MultiProgress>,
    bars: BTreeMap<usize, ProgressBar>,
    looked: Instant,
    /// The runs that have ended, with those that were finished before.
    ended: usize,
    jobs: usize,
    /// The estimated seconds of a run before one is finished.
    estimate: Option<f64>,
    /// The seconds of the runs that this process has finished.
    seconds: Vec<f64>,
}

impl<'a> SweepProgress<'a> {
    pub(super) fn new(
        sweep: &'a Sweep,
        finished: usize,
        jobs: usize,
        estimate: Option<f64>,
    ) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            sweep,
            table: (std::io::stderr().is_terminal() && !dumb).then(MultiProgress::new),
            bars: BTreeMap::new(),
            looked: Instant::now(),
            ended: finished,
            jobs,
            estimate,
            seconds: Vec::new(),
        }
    }

    /// Shows an event.
    pub(super) fn event(&mut self, event: SweepEvent<'_>) {
        match event {
            SweepEvent::Started { run, resumed } => self.started(run, resumed),
            SweepEvent::Waiting { run } => {
                let name = &self.sweep.runs()[run].name;
                self.line(format!(
                    "{name}: waiting for the process of an earlier sweep to end"
                ));
            }
            SweepEvent::Finished { run, seconds } => {
                self.ended += 1;
                self.seconds.extend(seconds);
                self.remove(run);
                self.line(self.finished(run, seconds));
            }
            SweepEvent::Failed(failed) => {
                self.ended += 1;
                self.remove(failed.run);
                self.line(self.numbered(&failure(self.sweep, failed)));
            }
            SweepEvent::Tick => self.look(),
        }
    }

    /// Removes the lines of the runs that train.
    pub(super) fn end(&mut self) {
        self.bars.values().for_each(ProgressBar::finish_and_clear);
        self.bars.clear();
    }

    fn started(&mut self, run: usize, resumed: bool) {
        let planned = &self.sweep.runs()[run];
        let Some(table) = &self.table else {
            if resumed {
                self.line(format!("{}: resumed", planned.name));
            }
            return;
        };
        let epochs = planned.config.training.epochs as u64;
        let bar = table.add(ProgressBar::new(epochs));
        bar.set_style(ProgressStyle::with_template(BAR).expect("the template is valid"));
        let names = self.sweep.runs().iter().map(|run| run.name.len());
        let width = names.max().unwrap_or(0);
        let name = escaped(&planned.name).to_string();
        bar.set_message(format!("{name:width$}"));
        bar.tick();
        self.bars.insert(run, bar);
    }

    fn remove(&mut self, run: usize) {
        if let Some(bar) = self.bars.remove(&run) {
            bar.finish_and_clear();
        }
    }

    /// Updates the epochs of the runs that train.
    fn look(&mut self) {
        if self.bars.is_empty() || self.looked.elapsed() < LOOK_INTERVAL {
            return;
        }
        self.looked = Instant::now();
        for (run, bar) in &self.bars {
            let folder = RunFolder::open(&self.sweep.folder(&self.sweep.runs()[*run]));
            let history = folder.and_then(|folder| folder.history());
            if let Ok(history) = history {
                bar.set_position(history.len().saturating_sub(1) as u64);
            }
            bar.tick();
        }
    }

    fn line(&self, text: String) {
        match &self.table {
            Some(table) => table.suspend(|| status(text)),
            None => status(text),
        }
    }

    /// A line about the last run that ended.
    fn numbered(&self, text: &str) -> String {
        let left = self.sweep.runs().len() - self.ended;
        let seconds = match self.seconds.len() {
            0 => self.estimate,
            runs => Some(self.seconds.iter().sum::<f64>() / runs as f64),
        };
        let time = match seconds {
            Some(seconds) if left > 0 => {
                let seconds = remaining(seconds, left, self.jobs);
                format!("; about {} left", duration(seconds))
            }
            _ => String::new(),
        };
        let runs = self.sweep.runs().len();
        format!("[{}/{runs}] {text}{time}", self.ended)
    }

    fn finished(&self, run: usize, seconds: Option<f64>) -> String {
        let planned = &self.sweep.runs()[run];
        let mut text = planned.name.clone();
        let folder = RunFolder::open(&self.sweep.folder(planned));
        if let Ok(Some(result)) = folder.and_then(|folder| folder.result()) {
            let measure = self.sweep.measure();
            if let Some(value) = self
                .sweep
                .split()
                .of(&result)
                .and_then(|measured| measure.of(&measured))
            {
                text += &format!(": {measure} {:.1} %", 100.0 * value);
            }
        }
        if let Some(seconds) = seconds {
            text += &format!(", {}", duration(seconds));
        }
        self.numbered(&text)
    }
}

/// The seconds of the runs that are left, if each takes `seconds`.
pub(super) fn remaining(seconds: f64, left: usize, jobs: usize) -> f64 {
    seconds * left.div_ceil(jobs) as f64
}

/// A run that failed, in a line.
pub(super) fn failure(sweep: &Sweep, failed: &FailedRun) -> String {
    let FailedRun { run, message, log } = failed;
    let name = &sweep.runs()[*run].name;
    format!("{name} FAILED: {message} (log: {})", log.display())
}
