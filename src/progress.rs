//! The progress of long work, reported to an observer, and its cancellation.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::cancellation::{CancellationToken, Cancelled};

/// Milliseconds between two reports of a [`Task`].
const REPORT_INTERVAL: u64 = 100;

/// The unit of [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images.
    Images,
    /// Rows of features.
    Rows,
    /// Bytes.
    Bytes,
    /// Queries.
    Queries,
    /// Repetitions of a computation that is timed.
    Repetitions,
    /// Iterations of an algorithm.
    Iterations,
}

/// The progress of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The name of the task, such as `embedding`.
    pub task: &'a str,
    /// Units done.
    pub done: u64,
    /// Units in total; `None` if unknown.
    pub total: Option<u64>,
    /// The unit.
    pub unit: Unit,
}

/// Receives the progress of long work, from any thread. The first [`update`](Self::update) of a task
/// begins it, and [`finish`](Self::finish) ends it. A task that fails does not finish; a [`Task`] is then
/// [abandoned](Self::abandon).
pub trait ProgressObserver: Send + Sync {
    /// Called when a part of a task is done.
    fn update(&self, progress: Progress<'_>);

    /// Called when all of `task` is done.
    fn finish(&self, task: &str);

    /// Called when `task` ends before all of it is done.
    fn abandon(&self, _task: &str) {}
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl ProgressObserver for NoProgress {
    fn update(&self, _: Progress<'_>) {}

    fn finish(&self, _: &str) {}
}

/// The request to stop that long work checks, and the observer that it reports to.
#[derive(Clone, Copy)]
pub struct Monitor<'a> {
    cancellation: Option<&'a CancellationToken>,
    observer: &'a dyn ProgressObserver,
}

impl<'a> Monitor<'a> {
    /// Creates a monitor of work that `cancellation` stops and that reports to `observer`.
    pub fn new(cancellation: &'a CancellationToken, observer: &'a dyn ProgressObserver) -> Self {
        Self {
            cancellation: Some(cancellation),
            observer,
        }
    }

    /// Returns the monitor of work that nothing stops and whose progress is ignored.
    pub fn none() -> Self {
        Self {
            cancellation: None,
            observer: &NoProgress,
        }
    }

    /// Returns the token that stops the work; one that is never cancelled if nothing stops it.
    pub fn cancellation(&self) -> CancellationToken {
        self.cancellation.cloned().unwrap_or_default()
    }

    /// Returns the observer that the work reports to.
    pub fn observer(&self) -> &'a dyn ProgressObserver {
        self.observer
    }

    /// Returns an error if a stop was requested.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn check(&self) -> Result<(), Cancelled> {
        match self.cancellation {
            Some(cancellation) if cancellation.is_cancelled() => Err(Cancelled),
            _ => Ok(()),
        }
    }

    /// Begins the task `name` of `total` units; `None` if their number is unknown.
    pub fn task(self, name: impl Into<Cow<'a, str>>, total: Option<usize>, unit: Unit) -> Task<'a> {
        let task = Task {
            monitor: self,
            name: name.into(),
            total: total.map(|total| total as u64),
            unit,
            start: Instant::now(),
            done: AtomicU64::new(0),
            next_report: AtomicU64::new(REPORT_INTERVAL),
            finished: false,
        };
        task.report(0);
        task
    }
}

/// A task that counts its progress. Threads may share it. It reports 0 units when it begins, all units
/// when it [finishes](Self::finish), and at most ten times a second in between.
pub struct Task<'a> {
    monitor: Monitor<'a>,
    name: Cow<'a, str>,
    total: Option<u64>,
    unit: Unit,
    start: Instant,
    done: AtomicU64,
    /// Milliseconds after the start.
    next_report: AtomicU64,
    finished: bool,
}

impl Task<'_> {
    /// Counts `units` as done.
    ///
    /// # Errors
    /// [`Cancelled`] if a stop was requested.
    pub fn advance(&self, units: usize) -> Result<(), Cancelled> {
        let units = units as u64;
        let done = units + self.done.fetch_add(units, Ordering::Relaxed);
        let now = self.start.elapsed().as_millis() as u64;
        let due = self.next_report.load(Ordering::Relaxed);
        let next = now + REPORT_INTERVAL;
        // Of the threads that find a report due, one makes it.
        let exchange = |due| {
            let order = Ordering::Relaxed;
            self.next_report.compare_exchange(due, next, order, order)
        };
        if now >= due && exchange(due).is_ok() {
            self.report(done);
        }
        self.check()
    }

    /// Returns an error if a stop was requested.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn check(&self) -> Result<(), Cancelled> {
        self.monitor.check()
    }

    /// Ends a task of which everything is done.
    pub fn finish(mut self) {
        self.finished = true;
        self.report(self.done.load(Ordering::Relaxed));
        self.monitor.observer.finish(&self.name);
    }

    fn report(&self, done: u64) {
        self.monitor.observer.update(Progress {
            task: &self.name,
            done,
            total: self.total,
            unit: self.unit,
        });
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.monitor.observer.abandon(&self.name);
        }
    }
}

#[cfg(test)]
pub(crate) mod test_observer {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// Units done, units in total, and whether the task finished.
    type TaskState = (u64, Option<u64>, bool);

    /// Records the last progress of each task, and whether the task finished. May cancel a token at
    /// the first update of a task.
    #[derive(Default)]
    pub(crate) struct RecordingObserver {
        tasks: Mutex<BTreeMap<String, TaskState>>,
        abandoned: Mutex<Vec<String>>,
        cancel: Option<(&'static str, CancellationToken)>,
    }

    impl RecordingObserver {
        /// An observer that cancels `token` when `task` begins.
        pub(crate) fn cancelling(task: &'static str, token: &CancellationToken) -> Self {
            Self {
                cancel: Some((task, token.clone())),
                ..Self::default()
            }
        }

        /// The tasks that ended early.
        pub(crate) fn abandoned(&self) -> Vec<String> {
            self.abandoned.lock().unwrap().clone()
        }

        /// The state of a task; `None` if it did not begin.
        pub(crate) fn task(&self, name: &str) -> Option<TaskState> {
            self.tasks.lock().unwrap().get(name).copied()
        }
    }

    impl ProgressObserver for RecordingObserver {
        fn update(&self, progress: Progress<'_>) {
            let mut tasks = self.tasks.lock().unwrap();
            let state = (progress.done, progress.total, false);
            tasks.insert(progress.task.to_string(), state);
            if let Some((task, token)) = &self.cancel
                && *task == progress.task
            {
                token.cancel();
            }
        }

        fn finish(&self, task: &str) {
            self.tasks.lock().unwrap().get_mut(task).unwrap().2 = true;
        }

        fn abandon(&self, task: &str) {
            self.abandoned.lock().unwrap().push(task.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::test_observer::RecordingObserver;
    use super::*;

    #[test]
    fn units_of_all_threads_add_up() {
        let observer = RecordingObserver::default();
        let token = CancellationToken::new();
        let task = Monitor::new(&token, &observer).task("adding", Some(4000), Unit::Images);
        assert_eq!(observer.task("adding"), Some((0, Some(4000), false)));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| task.advance(1).unwrap()));
            }
        });
        task.finish();
        assert_eq!(observer.task("adding"), Some((4000, Some(4000), true)));
        assert!(observer.abandoned().is_empty());
    }

    #[test]
    fn reports_are_made_while_the_task_runs_but_not_for_every_unit() {
        let observer = RecordingObserver::default();
        let token = CancellationToken::new();
        let task = Monitor::new(&token, &observer).task("adding", None, Unit::Images);
        task.advance(3).unwrap();
        assert_eq!(observer.task("adding"), Some((0, None, false)));
        std::thread::sleep(Duration::from_millis(REPORT_INTERVAL + 10));
        task.advance(2).unwrap();
        assert_eq!(observer.task("adding"), Some((5, None, false)));
    }

    #[test]
    fn cancelled_task_is_abandoned() {
        let observer = RecordingObserver::default();
        let token = CancellationToken::new();
        let task = Monitor::new(&token, &observer).task("adding", None, Unit::Images);
        assert_eq!(task.advance(1), Ok(()));
        token.cancel();
        assert_eq!(task.advance(1), Err(Cancelled));
        assert_eq!(Monitor::none().check(), Ok(()));
        drop(task);
        assert_eq!(observer.task("adding"), Some((0, None, false)));
        assert_eq!(observer.abandoned(), ["adding"]);
    }
}
