//! Processes that MPI has started and connects.
//!
//! Two communicators: one for the exchanges of the training, which block, and one for a thread that sends signs of
//! life and errors. Without it, a process would wait for ever for one that is stopped or has failed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{
    Communicator, CommunicatorCollectives, Destination, MatchedReceiveVec, Root, Source,
};
use thiserror::Error;

use super::{Exchange, GroupFailure};
use crate::temporary_files;

/// Environment variables that only processes started by an MPI launcher have: Open MPI's `mpirun`, launchers with PMIx
/// such as `srun --mpi=pmix`, and MPICH's `mpiexec` and `srun --mpi=pmi2`.
const LAUNCHED: [&str; 3] = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"];

/// After this time without a sign of life, a process is given up.
const SILENCE: Duration = Duration::from_secs(15);
/// Time between signs of life.
const PULSE: Duration = Duration::from_secs(1);
/// After this time between two looks for messages, this process was stopped meanwhile.
const STOPPED: Duration = Duration::from_secs(3);
/// Time between looks for messages.
const POLL: Duration = Duration::from_millis(100);
/// Time that process 0 has to report its own error, before it reports that of another process: one cause often makes
/// several fail.
const OWN_ERROR_FIRST: Duration = Duration::from_secs(1);
/// Time that a process waits for process 0 to report its error and end it.
const REPORTED: Duration = Duration::from_secs(10);

/// The exit status of a panic.
const PANICKED: u8 = 101;

/// Messages of the second communicator.
const ALIVE: i32 = 1;
const ERROR: i32 = 2;
/// The last sign of life.
const LEAVING: &[u8] = b"leaving";

/// The largest number of items in a message of MPI, whose counts are 32-bit.
const CHUNK: usize = 1 << 28;

/// Whether an MPI launcher has started this process. Then, and only then, [`join`] it.
pub fn is_launched() -> bool {
    LAUNCHED.iter().any(|name| std::env::var_os(name).is_some())
}

/// Why a process cannot join its group.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JoinError {
    /// MPI was initialised before.
    #[error("MPI was initialised twice")]
    Twice,
    /// The MPI library does not allow calls from several threads.
    #[error(
        "the MPI library does not support calls from several threads (MPI_THREAD_MULTIPLE); use one that does, such \
         as Open MPI 4 or later"
    )]
    Threads,
    /// A thread cannot be started; the system's message.
    #[error("cannot start a thread: {0}; raise the limit on processes (ulimit -u)")]
    Thread(String),
}

/// A process's place in its group, until the work is done.
pub struct Membership {
    shared: Arc<Shared>,
    signs: Option<JoinHandle<()>>,
    /// Dropped last: it finalises MPI.
    _universe: Universe,
}

struct Shared {
    /// For the exchanges of the training.
    exchanges: SimpleCommunicator,
    /// For signs of life and errors.
    signs: SimpleCommunicator,
    rank: usize,
    hosts: Vec<String>,
    /// Whether the signs of life end.
    leaving: AtomicBool,
}

// SAFETY: a communicator is a handle of the MPI library, which was initialised for calls from several threads
// (MPI_THREAD_MULTIPLE). Each communicator is used by one thread at a time: `signs` by the thread of that name and,
// for one message that MPI allows to be sent concurrently, by `fail`; `exchanges` by the thread that trains.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}

/// Joins the processes that the launcher has started. `on_failure` is called in another thread, at most once, when
/// another process fails or is not heard from; it reports the failure and returns the exit status, and then all
/// processes are ended. It is called in process 0, or in process 1 if process 0 is the silent one.
///
/// # Errors
/// If the MPI library is not suitable.
pub fn join(
    on_failure: impl Fn(&GroupFailure) -> u8 + Send + 'static,
) -> Result<Membership, JoinError> {
    let (universe, threading) =
        mpi::initialize_with_threading(Threading::Multiple).ok_or(JoinError::Twice)?;
    if threading != Threading::Multiple {
        return Err(JoinError::Threads);
    }
    let world = universe.world();
    let rank = world.rank() as usize;
    let host = mpi::environment::processor_name().unwrap_or_else(|_| "an unnamed machine".into());
    let exchanges = world.duplicate();
    let hosts = gather(&exchanges, host.as_bytes()).into_iter();
    let hosts = hosts.map(|host| String::from_utf8_lossy(&host).into_owned());
    let shared = Arc::new(Shared {
        signs: world.duplicate(),
        exchanges,
        rank,
        hosts: hosts.collect(),
        leaving: AtomicBool::new(false),
    });
    let signs = {
        let shared = shared.clone();
        let thread = thread::Builder::new().name("signs of life".into());
        let signs = thread.spawn(move || shared.exchange_signs(on_failure));
        signs.map_err(|error| JoinError::Thread(error.to_string()))?
    };
    Ok(Membership {
        shared,
        signs: Some(signs),
        _universe: universe,
    })
}

impl Membership {
    /// The connection with the other processes.
    pub fn exchange(&self) -> Arc<dyn Exchange> {
        self.shared.clone()
    }

    /// Returns the number of this process among those on its machine, and how many there are.
    pub fn on_this_machine(&self) -> (usize, usize) {
        let hosts = &self.shared.hosts;
        let own = &hosts[self.shared.rank];
        let before = hosts[..self.shared.rank].iter();
        let count =
            |hosts: &mut dyn Iterator<Item = &String>| hosts.filter(|host| *host == own).count();
        (count(&mut before.into_iter()), count(&mut hosts.iter()))
    }

    /// Ends all processes with an exit status. Process 0 has reported its error before; another process's `message` is
    /// reported by process 0; if it does not, `not_reported` is called.
    pub fn fail(self, message: &str, status: u8, not_reported: impl FnOnce()) -> ! {
        let shared = &self.shared;
        if shared.rank > 0 {
            let mut bytes = vec![status];
            bytes.extend_from_slice(message.as_bytes());
            shared
                .signs
                .process_at_rank(0)
                .send_with_tag(&bytes[..], ERROR);
            // Process 0 ends this one.
            thread::sleep(REPORTED);
            not_reported();
        }
        shared.end(status)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if thread::panicking() {
            // The others would wait for this process. The panic was printed.
            self.shared.end(PANICKED);
        }
        // All processes have finished their work: none waits for another.
        self.shared.leaving.store(true, Ordering::Relaxed);
        if let Some(signs) = self.signs.take() {
            let _ = signs.join();
        }
    }
}

impl Shared {
    fn end(&self, status: u8) -> ! {
        // No destructor runs.
        temporary_files::remove_all();
        self.exchanges.abort(i32::from(status))
    }

    /// Sends signs of life, and receives them, until all processes have left: one that leaves first waits for the others
    /// here, and notices if they fail.
    fn exchange_signs(&self, on_failure: impl Fn(&GroupFailure) -> u8) {
        let size = self.hosts.len();
        // Process 0 hears of all others, and they of it.
        let partners: Vec<usize> = match self.rank {
            0 => (1..size).collect(),
            _ => vec![0],
        };
        let mut heard = vec![Instant::now(); size];
        let mut left = vec![false; size];
        let mut has_left = false;
        let mut sent: Option<Instant> = None;
        let mut looked = Instant::now();
        let mut failed: Option<(Instant, GroupFailure)> = None;
        loop {
            // If this process was stopped, the others may have been, too.
            if looked.elapsed() > STOPPED {
                heard.fill(Instant::now());
            }
            looked = Instant::now();
            let leaving = self.leaving.load(Ordering::Relaxed);
            if sent.is_none_or(|sent| sent.elapsed() >= PULSE) || leaving != has_left {
                sent = Some(Instant::now());
                let sign: &[u8] = if leaving { LEAVING } else { &[] };
                for &partner in partners
                    .iter()
                    .filter(|&&partner| !(has_left && left[partner]))
                {
                    let process = self.signs.process_at_rank(partner as i32);
                    process.send_with_tag(sign, ALIVE);
                }
                has_left = leaving;
            }
            while let Some(message) = self.signs.any_process().immediate_matched_probe() {
                let (bytes, status) = message.matched_receive_vec::<u8>();
                let (from, tag) = (status.source_rank() as usize, status.tag());
                heard[from] = Instant::now();
                left[from] |= tag == ALIVE && bytes == LEAVING;
                if tag == ERROR && failed.is_none() {
                    failed = Some((Instant::now(), self.failure(from, &bytes)));
                }
            }
            if has_left && failed.is_none() && partners.iter().all(|&partner| left[partner]) {
                return;
            }
            let is_silent = |partner: usize| !left[partner] && heard[partner].elapsed() > SILENCE;
            let silent = partners.iter().copied().find(|&partner| is_silent(partner));
            if let Some(rank) = silent.filter(|_| failed.is_none()) {
                let failure = GroupFailure::Silent {
                    rank,
                    host: self.hosts[rank].clone(),
                    silence: SILENCE,
                };
                // Of the other processes, one reports process 0.
                if self.rank > 1 {
                    thread::sleep(REPORTED);
                    self.end(1);
                }
                failed = Some((Instant::now() - OWN_ERROR_FIRST, failure));
            }
            let due = failed
                .as_ref()
                .filter(|(at, _)| at.elapsed() >= OWN_ERROR_FIRST);
            if let Some((_, failure)) = due {
                let status = on_failure(failure);
                self.end(status);
            }
            thread::sleep(POLL);
        }
    }

    fn failure(&self, rank: usize, bytes: &[u8]) -> GroupFailure {
        let (status, message) = bytes.split_first().unwrap_or((&1, &[]));
        GroupFailure::Failed {
            rank,
            host: self.hosts[rank].clone(),
            message: String::from_utf8_lossy(message).into_owned(),
            status: *status,
        }
    }
}

impl Exchange for Shared {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.hosts.len()
    }

    fn host(&self, rank: usize) -> String {
        self.hosts[rank].clone()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        gather(&self.exchanges, own)
    }

    fn sum(&self, values: &mut [f32]) {
        for chunk in values.chunks_mut(CHUNK) {
            let own = chunk.to_vec();
            self.exchanges
                .all_reduce_into(&own[..], chunk, SystemOperation::sum());
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        let root = self.exchanges.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        let mut bytes = match self.rank {
            0 => bytes,
            _ => vec![0; length as usize],
        };
        for chunk in bytes.chunks_mut(CHUNK) {
            root.broadcast_into(chunk);
        }
        bytes
    }
}

/// Gathers bytes of any lengths. Embeddings of a split may be more than MPI counts: they are sent in parts.
fn gather(communicator: &SimpleCommunicator, own: &[u8]) -> Vec<Vec<u8>> {
    let size = communicator.size() as usize;
    let mut lengths = vec![0_u64; size];
    communicator.all_gather_into(&(own.len() as u64), &mut lengths[..]);
    let mut all: Vec<Vec<u8>> = lengths
        .iter()
        .map(|&length| Vec::with_capacity(length as usize))
        .collect();
    // All parts of all processes together are one message.
    let part = CHUNK / size;
    let longest = lengths.iter().max().copied().unwrap_or(0) as usize;
    for start in (0..longest).step_by(part) {
        let count = |length: usize| length.saturating_sub(start).min(part);
        let counts: Vec<i32> = lengths
            .iter()
            .map(|&length| count(length as usize) as i32)
            .collect();
        let places = counts.iter().scan(0, |place, count| {
            let start = *place;
            *place += count;
            Some(start)
        });
        let places: Vec<i32> = places.collect();
        let mut received = vec![0_u8; counts.iter().sum::<i32>() as usize];
        let own = &own[start.min(own.len())..];
        let own = &own[..own.len().min(part)];
        let mut parts = PartitionMut::new(&mut received[..], &counts[..], &places[..]);
        communicator.all_gather_varcount_into(own, &mut parts);
        for (bytes, (&place, &count)) in all.iter_mut().zip(places.iter().zip(&counts)) {
            bytes.extend_from_slice(&received[place as usize..][..count as usize]);
        }
    }
    all
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { rank, hosts, .. } = &*self.shared;
        write!(f, "Membership({rank} of {})", hosts.len())
    }
}
