//! A line of a list of images, as errors name it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a list. It prints as `LIST, line N`, or `LIST, annotation N` for a MATLAB file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    /// The list.
    pub list: Arc<Path>,
    /// The line, or the annotation of a MATLAB file, from 1.
    pub number: usize,
}

impl fmt::Display for ListLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.list.extension() {
            Some(extension) if extension == "mat" => "annotation",
            _ => "line",
        };
        write!(f, "{}, {unit} {}", self.list.display(), self.number)
    }
}
