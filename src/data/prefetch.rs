//! Batches loaded ahead of their use by worker threads, in order and in bounded memory.
//!
//! Workers take single samples (images), not batches, so that all of them work on the batch that is
//! needed next. The worker that finishes the last sample of a batch collates it. At most a fixed number
//! of batches beyond those already taken is started.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use super::parallel::warn_of_few_threads;

/// Batches that consist of independent samples.
pub(super) trait BatchJob: Send + Sync + 'static {
    /// One image.
    type Sample: Send;
    /// One batch.
    type Batch: Send;
    /// Why a sample cannot be loaded.
    type Error: Send;

    /// Returns the number of batches.
    fn batches(&self) -> usize;

    /// Returns the number of samples of a batch, at least 1.
    fn batch_len(&self, batch: usize) -> usize;

    /// Loads a sample.
    ///
    /// # Errors
    /// If the sample cannot be loaded. The batch then fails with this error.
    fn sample(&self, batch: usize, sample: usize) -> Result<Self::Sample, Self::Error>;

    /// Makes a batch of all its samples, which are in order.
    fn collate(&self, batch: usize, samples: Vec<Self::Sample>) -> Self::Batch;
}

/// What the consumer receives for a batch.
type Collated<J> = Result<<J as BatchJob>::Batch, <J as BatchJob>::Error>;

/// An iterator over the batches of a [`BatchJob`]. It ends after the first batch that fails.
///
/// If the system starts fewer threads than wanted, it uses fewer. Without any, [`next`](Iterator::next)
/// loads the batch.
///
/// Dropping it stops the workers and waits until each has finished its current sample.
pub(super) struct Prefetcher<J: BatchJob> {
    shared: Arc<Shared<J>>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared<J: BatchJob> {
    job: Arc<J>,
    /// Batches that may be started beyond those taken.
    ahead: usize,
    state: Mutex<State<J>>,
    /// Notifies workers: a batch was taken, or the job has ended.
    room: Condvar,
    /// Notifies the consumer: a batch is ready, or a worker panicked.
    ready: Condvar,
}

struct State<J: BatchJob> {
    /// The batch and sample to start next.
    next: (usize, usize),
    /// Workers start no sample of this batch or a later one. A failure lowers it.
    end: usize,
    /// Whether the consumer gets no more batches.
    stopped: bool,
    /// Batches taken by the consumer.
    taken: usize,
    started: HashMap<usize, Vec<Option<J::Sample>>>,
    done: HashMap<usize, Collated<J>>,
    /// The panic of a worker, which is resumed in the consumer.
    panic: Option<Box<dyn Any + Send>>,
}

impl<J: BatchJob> Prefetcher<J> {
    /// Starts `workers` threads (at least 1), which keep up to `ahead` batches (at least 1) ready.
    pub(super) fn new(job: Arc<J>, workers: usize, ahead: usize) -> Self {
        Self::with_threads(thread::Builder::new, job, workers, ahead)
    }

    fn with_threads(
        new_thread: impl Fn() -> thread::Builder,
        job: Arc<J>,
        workers: usize,
        ahead: usize,
    ) -> Self {
        let batches = job.batches();
        let shared = Arc::new(Shared {
            job,
            ahead: ahead.max(1),
            state: Mutex::new(State {
                next: (0, 0),
                end: batches,
                stopped: false,
                taken: 0,
                started: HashMap::new(),
                done: HashMap::new(),
                panic: None,
            }),
            room: Condvar::new(),
            ready: Condvar::new(),
        });
        let wanted = if batches == 0 { 0 } else { workers.max(1) };
        let mut workers = Vec::new();
        while workers.len() < wanted {
            let shared = shared.clone();
            match new_thread().spawn(move || shared.run()) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    warn_of_few_threads(workers.len(), wanted, &error);
                    break;
                }
            }
        }
        Self { shared, workers }
    }

    /// Returns what ends the batches from another thread.
    pub(super) fn stopper(&self) -> Stopper<J> {
        Stopper(self.shared.clone())
    }
}

/// Ends the batches of a [`Prefetcher`].
pub(super) struct Stopper<J: BatchJob>(Arc<Shared<J>>);

impl<J: BatchJob> Stopper<J> {
    /// Stops the workers after their current samples. A consumer that waits for a batch gets none.
    pub(super) fn stop(&self) {
        let mut state = self.0.lock();
        state.end = 0;
        state.stopped = true;
        self.0.room.notify_all();
        self.0.ready.notify_all();
    }
}

impl<J: BatchJob> Iterator for Prefetcher<J> {
    type Item = Collated<J>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.workers.is_empty() {
            self.shared.load_next();
        }
        let mut state = self.shared.lock();
        loop {
            if let Some(panic) = state.panic.take() {
                drop(state);
                resume_unwind(panic);
            }
            if state.stopped {
                return None;
            }
            let batch = state.taken;
            if let Some(done) = state.done.remove(&batch) {
                // The iterator ends after a failure.
                state.taken = if done.is_ok() { batch + 1 } else { usize::MAX };
                self.shared.room.notify_all();
                return Some(done);
            }
            if batch >= self.shared.job.batches() {
                return None;
            }
            state = wait(&self.shared.ready, state);
        }
    }
}

impl<J: BatchJob> Drop for Prefetcher<J> {
    fn drop(&mut self) {
        self.shared.lock().end = 0;
        self.shared.room.notify_all();
        for worker in self.workers.drain(..) {
            // A worker's panic was caught and is resumed in the consumer.
            let _ = worker.join();
        }
    }
}

impl<J: BatchJob> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state
            .lock()
            .expect("samples are loaded outside the lock, so the lock is never poisoned")
    }

    /// Loads the batch that the consumer takes next, on this thread.
    fn load_next(&self) {
        let is_done = |state: &State<J>| state.done.contains_key(&state.taken);
        while !is_done(&self.lock()) {
            let Some((batch, sample)) = self.start() else {
                return;
            };
            self.finish(batch, sample, self.job.sample(batch, sample));
        }
    }

    fn run(&self) {
        let load = || {
            while let Some((batch, sample)) = self.start() {
                self.finish(batch, sample, self.job.sample(batch, sample));
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(load)) {
            let mut state = self.lock();
            state.end = 0;
            state.panic.get_or_insert(panic);
            self.ready.notify_all();
            self.room.notify_all();
        }
    }

    /// Waits until the next sample may be started and returns it. `None` at the end.
    fn start(&self) -> Option<(usize, usize)> {
        let mut state = self.lock();
        loop {
            let (batch, sample) = state.next;
            if batch >= state.end {
                return None;
            }
            if batch < state.taken.saturating_add(self.ahead) {
                state.next = if sample + 1 < self.job.batch_len(batch) {
                    (batch, sample + 1)
                } else {
                    (batch + 1, 0)
                };
                return Some((batch, sample));
            }
            state = wait(&self.room, state);
        }
    }

    fn finish(&self, batch: usize, sample: usize, result: Result<J::Sample, J::Error>) {
        let mut state = self.lock();
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(error) => {
                state.end = state.end.min(batch);
                state.done.entry(batch).or_insert(Err(error));
                self.ready.notify_all();
                self.room.notify_all();
                return;
            }
        };
        let samples = state.started.entry(batch).or_insert_with(|| {
            let mut empty = Vec::new();
            empty.resize_with(self.job.batch_len(batch), || None);
            empty
        });
        samples[sample] = Some(loaded);
        if samples.iter().any(Option::is_none) {
            return;
        }
        let samples = state.started.remove(&batch).unwrap_or_default();
        drop(state);
        let collated = self
            .job
            .collate(batch, samples.into_iter().flatten().collect());
        self.lock().done.insert(batch, Ok(collated));
        self.ready.notify_all();
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .expect("samples are loaded outside the lock, so the lock is never poisoned")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::data::parallel::refused_thread;

    /// Batches of three numbers. Sample `fails` fails, sample `panics` panics.
    #[derive(Default)]
    struct Numbers {
        batches: usize,
        fails: Option<usize>,
        panics: Option<usize>,
        started: AtomicUsize,
    }

    impl BatchJob for Numbers {
        type Sample = usize;
        type Batch = Vec<usize>;
        type Error = String;

        fn batches(&self) -> usize {
            self.batches
        }

        fn batch_len(&self, _batch: usize) -> usize {
            3
        }

        fn sample(&self, batch: usize, sample: usize) -> Result<usize, String> {
            self.started.fetch_add(1, Ordering::SeqCst);
            let number = 3 * batch + sample;
            // Pieces finish out of order.
            thread::sleep(Duration::from_micros(100 * (7 - number as u64 % 7)));
            assert_ne!(Some(number), self.panics, "sample {number}");
            match Some(number) == self.fails {
                true => Err(format!("sample {number}")),
                false => Ok(number),
            }
        }

        fn collate(&self, _batch: usize, samples: Vec<usize>) -> Vec<usize> {
            samples
        }
    }

    #[test]
    fn batches_are_in_order_for_any_number_of_workers() {
        for (workers, ahead) in [(1, 1), (2, 3), (8, 2), (0, 0)] {
            let job = Arc::new(Numbers {
                batches: 20,
                ..Default::default()
            });
            let batches: Vec<_> = Prefetcher::new(job, workers, ahead)
                .map(Result::unwrap)
                .collect();
            assert_eq!(batches.concat(), (0..60).collect::<Vec<_>>());
            assert!(batches.iter().all(|batch| batch.len() == 3));
        }
    }

    #[test]
    fn a_job_without_batches_ends_immediately() {
        assert!(
            Prefetcher::new(Arc::new(Numbers::default()), 2, 2)
                .next()
                .is_none()
        );
    }

    #[test]
    fn at_most_the_given_number_of_batches_is_started_ahead() {
        let job = Arc::new(Numbers {
            batches: 100,
            ..Default::default()
        });
        let mut batches = Prefetcher::new(job.clone(), 4, 2);
        for taken in 1..5 {
            batches.next();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(job.started.load(Ordering::SeqCst), 3 * (taken + 2));
        }
    }

    #[test]
    fn dropping_early_stops_and_joins_the_workers() {
        let job = Arc::new(Numbers {
            batches: 1000,
            ..Default::default()
        });
        let mut batches = Prefetcher::new(job.clone(), 4, 3);
        batches.next();
        drop(batches);
        assert_eq!(Arc::strong_count(&job), 1, "a thread still holds the job");
    }

    #[test]
    fn stopping_ends_a_consumer_that_waits() {
        let job = Arc::new(Numbers {
            batches: 1000,
            ..Default::default()
        });
        let batches = Prefetcher::new(job.clone(), 1, 1);
        let stopper = batches.stopper();
        let consumer = thread::spawn(move || batches.count());
        thread::sleep(Duration::from_millis(5));
        stopper.stop();
        assert!(consumer.join().unwrap() < 1000);
        drop(stopper);
        assert_eq!(Arc::strong_count(&job), 1, "a thread still holds the job");
    }

    #[test]
    fn a_failure_is_returned_in_order_and_ends_the_batches() {
        let job = Arc::new(Numbers {
            batches: 50,
            fails: Some(16),
            ..Default::default()
        });
        let mut batches = Prefetcher::new(job, 4, 4);
        for first in [0, 3, 6, 9, 12] {
            assert_eq!(batches.next().unwrap().unwrap()[0], first);
        }
        assert!(batches.next().unwrap().unwrap_err().contains("16"));
        assert!(batches.next().is_none());
    }

    #[test]
    fn without_threads_the_consumer_loads() {
        let job = Arc::new(Numbers {
            batches: 50,
            fails: Some(16),
            ..Default::default()
        });
        let mut batches = Prefetcher::with_threads(refused_thread, job.clone(), 4, 4);
        for first in [0, 3, 6, 9, 12] {
            assert_eq!(batches.next().unwrap().unwrap()[0], first);
            assert_eq!(job.started.load(Ordering::SeqCst), first + 3);
        }
        assert!(batches.next().unwrap().unwrap_err().contains("16"));
        assert!(batches.next().is_none());
        let none = Arc::new(Numbers::default());
        assert!(
            Prefetcher::with_threads(refused_thread, none, 1, 1)
                .next()
                .is_none()
        );
    }

    #[test]
    #[should_panic(expected = "sample 10")]
    fn a_panic_of_a_worker_is_resumed_in_the_consumer() {
        let job = Arc::new(Numbers {
            batches: 50,
            panics: Some(10),
            ..Default::default()
        });
        Prefetcher::new(job, 2, 2).for_each(drop);
    }
}
