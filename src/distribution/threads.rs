//! Threads in place of processes, for tests.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::{Exchange, ProcessGroup};

/// The place where threads put what they exchange.
#[derive(Default)]
struct Table {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rows: Vec<Vec<u8>>,
    /// Threads that have put their row there.
    arrived: usize,
    /// Exchanges that are complete.
    complete: usize,
    /// The rows of the last complete exchange.
    last: Vec<Vec<u8>>,
    /// Whether a thread has ended.
    ended: bool,
}

struct ThreadExchange {
    rank: usize,
    size: usize,
    table: Arc<Table>,
}

impl Exchange for ThreadExchange {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn host(&self, _rank: usize) -> String {
        "localhost".to_string()
    }

    /// # Panics
    /// If another thread has ended.
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let mut state = self.table.state.lock().unwrap();
        state.rows.resize(self.size, Vec::new());
        state.rows[self.rank] = own.to_vec();
        state.arrived += 1;
        let exchange = state.complete;
        if state.arrived == self.size {
            state.arrived = 0;
            state.complete += 1;
            state.last = std::mem::take(&mut state.rows);
            self.table.changed.notify_all();
        }
        while state.complete == exchange && !state.ended {
            state = self.table.changed.wait(state).unwrap();
        }
        assert!(state.complete > exchange, "another process has ended");
        state.last.clone()
    }

    fn sum(&self, values: &mut [f32]) {
        let own: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        values.fill(0.0);
        for row in self.gather(&own) {
            let (numbers, _) = row.as_chunks();
            assert_eq!(numbers.len(), values.len(), "sums of one length");
            for (sum, &number) in values.iter_mut().zip(numbers) {
                *sum += f32::from_le_bytes(number);
            }
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.gather(&bytes).swap_remove(0)
    }
}

impl Drop for ThreadExchange {
    fn drop(&mut self) {
        let state = self.table.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).ended = true;
        self.table.changed.notify_all();
    }
}

/// Runs `process` in `size` threads, which are a group. Returns their results in their order; an error for a thread
/// that panicked, for example because it waited for one that had ended.
pub(crate) fn run_each<T: Send>(
    size: usize,
    process: impl Fn(ProcessGroup) -> T + Sync,
) -> Vec<thread::Result<T>> {
    let table = Arc::<Table>::default();
    thread::scope(|scope| {
        let start = |rank| {
            let table = table.clone();
            let group = ProcessGroup::new(Arc::new(ThreadExchange { rank, size, table }));
            let process = &process;
            scope.spawn(move || process(group))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    })
}

/// Runs `process` as [`run_each`] does. Panics if one does.
pub(crate) fn run<T: Send>(size: usize, process: impl Fn(ProcessGroup) -> T + Sync) -> Vec<T> {
    let results = run_each(size, process).into_iter();
    results
        .map(|result| result.expect("no process panics"))
        .collect()
}
