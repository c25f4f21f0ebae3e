//! Independent items of work spread over threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cancellation::CancellationToken;

/// The work was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cancelled;

/// Returns the number of worker threads for the configured number; 0 means one for each core.
pub fn worker_count(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// Computes as [`in_parallel`] does, and stops early when cancelled.
///
/// # Errors
/// If `cancellation` is cancelled.
pub(crate) fn in_parallel_until<T: Send>(
    cancellation: &CancellationToken,
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, Cancelled> {
    let work = |i| (!cancellation.is_cancelled()).then(|| work(i));
    let done: Option<Vec<T>> = in_parallel(workers, count, work).into_iter().collect();
    done.ok_or(Cancelled)
}

/// Returns `work(0), …, work(count − 1)` in order, computed by `workers` threads.
pub(crate) fn in_parallel<T: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    // Small enough that all threads finish at about the same time, large enough that the cost of
    // taking a chunk does not matter.
    const CHUNK: usize = 64;
    let next = AtomicUsize::new(0);
    let take_chunks = || {
        let mut done = Vec::new();
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= count {
                return done;
            }
            let end = count.min(start + CHUNK);
            done.push((start, (start..end).map(&work).collect::<Vec<T>>()));
        }
    };
    let mut chunks: Vec<(usize, Vec<T>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1))
            .map(|_| scope.spawn(take_chunks))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    chunks.sort_by_key(|(start, _)| *start);
    chunks.into_iter().flat_map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        for workers in [1, 2, 5] {
            let squares = in_parallel(workers, 1000, |i| i * i);
            assert_eq!(squares, (0..1000).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(in_parallel(3, 0, |i| i).is_empty());
    }

    #[test]
    fn zero_workers_means_at_least_one() {
        assert!(worker_count(0) >= 1);
        assert_eq!(worker_count(7), 7);
    }
}
