//! The split that a sweep compares its cells on.

use std::str::FromStr;

use crate::training::{Measured, RunResult};

/// The split that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeasuredSplit {
    /// The test split.
    #[default]
    Test,
    /// The validation classes.
    Validation,
}

impl MeasuredSplit {
    /// The measures of the best epoch of a run on this split; `None` if the run did not measure it.
    pub fn of(self, result: &RunResult) -> Option<Measured> {
        match self {
            Self::Test => Some(result.test_measured()),
            Self::Validation => result.validation_measured(),
        }
    }

    /// The name in sweep files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
        }
    }
}

impl FromStr for MeasuredSplit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "test" => Ok(Self::Test),
            "validation" => Ok(Self::Validation),
            _ => Err("give \"test\" or \"validation\""),
        }
    }
}
