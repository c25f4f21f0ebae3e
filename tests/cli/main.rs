//! Black-box tests of the command line.

mod data;
mod datasets;
mod devices;
mod export;
mod loss;
mod mistakes;
mod pretrained;
mod support;
mod training;
