//! Black-box tests of the command line.

mod mistakes;
mod support;
mod training;
