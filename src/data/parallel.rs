//! Independent items of work spread over threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(crate) use crate::cancellation::Cancelled;
use crate::progress::Task;

/// Returns the number of worker threads for the configured number; 0 means one for each core.
pub fn worker_count(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// Computes as [`in_parallel`] does, counts each item as one unit of `task`, and stops early when
/// cancelled.
///
/// # Errors
/// If a stop was requested.
pub(crate) fn in_parallel_until<T: Send>(
    task: &Task<'_>,
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, Cancelled> {
    let work = |i| {
        task.check()?;
        let output = work(i);
        task.advance(1)?;
        Ok(output)
    };
    in_parallel(workers, count, work).into_iter().collect()
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
    use crate::cancellation::CancellationToken;
    use crate::progress::test_observer::RecordingObserver;
    use crate::progress::{Monitor, Unit};

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        for workers in [1, 2, 5] {
            let squares = in_parallel(workers, 1000, |i| i * i);
            assert_eq!(squares, (0..1000).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(in_parallel(3, 0, |i| i).is_empty());
    }

    #[test]
    fn items_are_counted_and_cancellation_skips_the_rest() {
        let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
        let monitor = Monitor::new(&token, &observer);
        let task = monitor.task("squaring", Some(500), Unit::Images);
        let squares = in_parallel_until(&task, 3, 500, |i| i * i).unwrap();
        assert_eq!(squares.len(), 500);
        task.finish();
        assert_eq!(observer.task("squaring"), Some((500, Some(500), true)));

        let started = AtomicUsize::new(0);
        let task = monitor.task("squaring", Some(500), Unit::Images);
        let result = in_parallel_until(&task, 1, 500, |i| {
            started.fetch_add(1, Ordering::Relaxed);
            if i == 10 {
                token.cancel();
            }
        });
        assert_eq!(result, Err(Cancelled));
        assert_eq!(started.into_inner(), 11);
    }

    #[test]
    fn zero_workers_means_at_least_one() {
        assert!(worker_count(0) >= 1);
        assert_eq!(worker_count(7), 7);
    }
}
