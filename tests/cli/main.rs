//! Black-box tests of the command line.

mod config;
mod data;
mod datasets;
mod devices;
mod dry_run;
mod embedding_files;
mod escaping;
mod export;
#[cfg(unix)]
mod interrupts;
mod limits;
mod loss;
mod output;
mod pretrained;
mod protocol;
mod report;
mod resuming;
mod saved_runs;
mod support;
mod tensorboard;
mod tables;
mod training;
mod usage;
mod user_errors;
