//! Black-box tests of the command line.

mod loss;
mod mistakes;
mod support;
mod training;
