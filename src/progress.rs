//! Progress of long work, reported to whoever shows it.

/// What [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images.
    Images,
    /// Bytes.
    Bytes,
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The work, such as `embedding`.
    pub task: &'a str,
    /// Units done.
    pub done: u64,
    /// Units in all, where that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// Receives the progress of long work, from any thread. The first report of a task begins it, and
/// [`finish`](Self::finish) ends it; work that fails does not report its end.
pub trait ProgressObserver: Send + Sync {
    /// Some of a task is done.
    fn update(&self, progress: Progress<'_>);

    /// All of `task` is done.
    fn finish(&self, task: &str);
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl ProgressObserver for NoProgress {
    fn update(&self, _: Progress<'_>) {}

    fn finish(&self, _: &str) {}
}
