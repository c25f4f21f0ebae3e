//! The progress of long work, reported to an observer.

/// The unit of [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images.
    Images,
    /// Bytes.
    Bytes,
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
/// begins it, and [`finish`](Self::finish) ends it. A task that fails does not finish.
pub trait ProgressObserver: Send + Sync {
    /// Called when a part of a task is done.
    fn update(&self, progress: Progress<'_>);

    /// Called when all of `task` is done.
    fn finish(&self, task: &str);
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl ProgressObserver for NoProgress {
    fn update(&self, _: Progress<'_>) {}

    fn finish(&self, _: &str) {}
}
