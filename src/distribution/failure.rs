//! Why a group of processes ends before its work is done.

use std::time::Duration;

use thiserror::Error;

/// The failure of a process, as the other processes learn of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupFailure {
    /// A process ended with an error.
    #[error("process {rank} on {host}: {message}")]
    Failed {
        /// Its number, from 0.
        rank: usize,
        /// The machine it runs on.
        host: String,
        /// Its error.
        message: String,
        /// The exit status that its error has.
        status: u8,
    },
    /// A process was not heard from.
    #[error(
        "process {rank} on {host} has not responded for {} seconds: it is stopped, its machine is overloaded, or the \
         network is interrupted; resume the run with: loop-dml train --resume --run DIR", silence.as_secs()
    )]
    Silent {
        /// Its number, from 0.
        rank: usize,
        /// The machine it runs on.
        host: String,
        /// How long it was not heard from.
        silence: Duration,
    },
}
