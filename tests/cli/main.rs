//! Black-box tests of the command line.

mod config;
mod data;
mod datasets;
mod devices;
mod dry_run;
mod duplicates;
mod embedding_files;
mod escaping;
mod export;
mod heads;
#[cfg(unix)]
mod interrupts;
mod limits;
mod loss;
mod output;
mod precision;
mod pretrained;
mod protocol;
mod report;
mod resuming;
mod saved_runs;
mod search;
mod support;
mod sweep;
mod tables;
mod tensorboard;
mod training;
mod usage;
mod user_errors;
