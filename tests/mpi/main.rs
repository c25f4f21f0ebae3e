//! Trainings with several processes, started by `mpirun` (Debian: openmpi-bin).
//!
//! Whether a step computes what one process does is tested in `src/training/distributed`. Here are whole trainings,
//! and what happens if a process fails.

#![cfg(target_os = "linux")]

mod faults;
mod launch;
mod trainings;
