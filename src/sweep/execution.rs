//! Training the runs of a sweep, each in a process of this program.
//!
//! A training writes a checkpoint and ends when its standard input is closed (`train --stop-with-stdin`): the sweep closes it to stop,
//! and the system closes it if the sweep is killed.

mod child;
mod estimate;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::SweepError;
use super::folder::RunState;
use super::plan::{PlannedRun, Sweep};
use crate::cancellation::CancellationToken;
use child::{Child, ChildEnd};

/// Time between two looks at the processes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How runs are trained.
#[derive(Debug, Clone)]
pub struct Execution {
    /// This program.
    pub program: PathBuf,
    /// Arguments of every training, such as `--backend cpu`.
    pub arguments: Vec<String>,
    /// The most processes at once, at least one.
    pub jobs: usize,
    /// The CPU threads of all processes together.
    pub threads: usize,
}

/// What happens in a sweep.
#[derive(Debug, Clone, Copy)]
pub enum SweepEvent<'a> {
    /// The training of a run begins or is resumed.
    Started {
        /// The run, by index.
        run: usize,
        /// Whether it is resumed.
        resumed: bool,
    },
    /// A process that a killed sweep left still trains the run; it is waited for.
    Waiting {
        /// The run, by index.
        run: usize,
    },
    /// A run is complete.
    Finished {
        /// The run, by index.
        run: usize,
        /// Wall-clock seconds of its process; `None` if a process of a killed sweep has finished it.
        seconds: Option<f64>,
    },
    /// A run has failed; the others continue.
    Failed(&'a FailedRun),
    /// Time has passed, and nothing else happened.
    Tick,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// The run, by index.
    pub run: usize,
    /// The error of its training.
    pub message: String,
    /// The file with what it printed.
    pub log: PathBuf,
}

impl Execution {
    /// Trains all runs that are not finished. Returns those that failed.
    ///
    /// # Errors
    /// If a process cannot be started, or `cancellation` is requested: after the trainings have written checkpoints.
    pub fn run(
        &self,
        sweep: &Sweep,
        cancellation: &CancellationToken,
        mut observer: impl FnMut(SweepEvent<'_>),
    ) -> Result<Vec<FailedRun>, SweepError> {
        let states = sweep.states()?;
        let unfinished = states.iter().enumerate();
        let mut waiting: VecDeque<usize> = unfinished
            .filter(|(_, state)| !matches!(state, RunState::Finished { .. }))
            .map(|(run, _)| run)
            .collect();
        let mut active: Vec<(usize, Child)> = Vec::new();
        let mut failed = Vec::new();
        let mut stopped = false;
        let result = loop {
            while active.len() < self.jobs && !cancellation.is_cancelled() {
                let Some(run) = waiting.pop_front() else {
                    break;
                };
                match self.start(sweep, run, cancellation, &mut observer) {
                    Ok(Some(child)) => active.push((run, child)),
                    // A process of a killed sweep has finished it.
                    Ok(None) => observer(SweepEvent::Finished { run, seconds: None }),
                    Err(error) => {
                        // Dropping the processes stops them, too, after a checkpoint.
                        active.iter_mut().for_each(|(_, child)| child.stop());
                        return Err(error);
                    }
                }
            }
            if active.is_empty() {
                break match stopped || !waiting.is_empty() {
                    true => Err(SweepError::Cancelled),
                    false => Ok(()),
                };
            }
            std::thread::sleep(POLL_INTERVAL);
            if cancellation.is_cancelled() {
                active.iter_mut().for_each(|(_, child)| child.stop());
            }
            observer(SweepEvent::Tick);
            let mut running = Vec::new();
            for (run, mut child) in active {
                match child.end() {
                    None => running.push((run, child)),
                    Some(ChildEnd::Done { seconds }) => {
                        observer(SweepEvent::Finished {
                            run,
                            seconds: Some(seconds),
                        });
                    }
                    Some(ChildEnd::Failed { .. }) if cancellation.is_cancelled() => stopped = true,
                    Some(ChildEnd::Failed { message }) => {
                        let log = sweep.log(&sweep.runs()[run]);
                        let one = FailedRun { run, message, log };
                        observer(SweepEvent::Failed(&one));
                        failed.push(one);
                    }
                }
            }
            active = running;
        };
        result.map(|()| failed)
    }

    /// The CPU threads of each process.
    fn threads_of_a_run(&self) -> usize {
        (self.threads / self.jobs).max(1)
    }

    /// Starts the training of a run, or resumes it. `None` if it is finished.
    fn start(
        &self,
        sweep: &Sweep,
        run: usize,
        cancellation: &CancellationToken,
        observer: &mut impl FnMut(SweepEvent<'_>),
    ) -> Result<Option<Child>, SweepError> {
        let planned = &sweep.runs()[run];
        let (folder, log) = (sweep.folder(planned), sweep.log(planned));
        child::wait_until_free(&folder, &log, cancellation, || {
            observer(SweepEvent::Waiting { run });
        })?;
        let threads = self.threads_of_a_run();
        // The process that was waited for may have begun the run or finished it.
        let (mut arguments, threads, resumed) = match sweep.state(planned)? {
            RunState::Finished { .. } => return Ok(None),
            RunState::New => (sweep.arguments(planned), threads, false),
            // With other threads, sums would be rounded otherwise than in an uninterrupted run.
            RunState::Started {
                threads: recorded, ..
            } => {
                let arguments = resume_arguments(sweep, planned);
                (arguments, recorded.unwrap_or(threads), true)
            }
        };
        arguments.extend(self.arguments.iter().cloned());
        let child = Child::start(&self.program, &arguments, threads, &log)?;
        observer(SweepEvent::Started { run, resumed });
        Ok(Some(child))
    }
}

fn resume_arguments(sweep: &Sweep, run: &PlannedRun) -> Vec<String> {
    let folder = sweep.folder(run).display().to_string();
    ["train", "--resume", "--run", &folder]
        .map(String::from)
        .to_vec()
}
