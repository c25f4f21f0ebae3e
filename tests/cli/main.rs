//! Black-box tests of the command line.

mod data;
mod datasets;
mod devices;
mod export;
#[cfg(unix)]
mod interrupts;
mod loss;
mod output;
mod pretrained;
mod saved_runs;
mod support;
mod training;
mod user_errors;
