//! The parsers of datasets' files as functions of bytes. They return the messages of all errors.

pub(crate) use super::datasets::fuzzing::{csv_list, idx, mat};
pub(crate) use super::image_file::fuzz as image;
