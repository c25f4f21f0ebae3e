//! Processes that train together: each computes a part of every batch, and together they take the steps of one
//! process.
//!
//! Code that is distributed calls a [`ProcessGroup`]. A single process is a group too, and exchanges nothing. MPI
//! connects several (feature `mpi`).

mod failure;
mod group;
#[cfg(feature = "mpi")]
mod mpi;
mod share;
#[cfg(test)]
pub(crate) mod threads;

pub use failure::GroupFailure;
pub use group::{Exchange, ProcessGroup};
#[cfg(feature = "mpi")]
pub use mpi::{JoinError, Membership, is_launched, join};
pub use share::share;
