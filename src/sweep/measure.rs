//! What a sweep compares its cells by.

use std::fmt;
use std::str::FromStr;

use crate::training::RunResult;

/// A measure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Recall@K.
    Recall(usize),
    /// MAP@R.
    MapAtR,
}

/// The split that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeasuredSplit {
    /// The test split.
    #[default]
    Test,
    /// The validation classes.
    Validation,
}

impl Measure {
    /// The measure of the best epoch of a run, 0 to 1; `None` if the run did not measure it.
    pub fn of(self, result: &RunResult, split: MeasuredSplit) -> Option<f64> {
        let measured = split.of(result)?;
        match self {
            Self::Recall(k) => measured.recall.at.get(&k).copied(),
            Self::MapAtR => measured.map_at_r,
        }
    }
}

impl MeasuredSplit {
    /// The measures of the best epoch of a run on this split.
    pub(super) fn of(self, result: &RunResult) -> Option<crate::training::Measured> {
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

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recall(k) => write!(f, "R@{k}"),
            Self::MapAtR => f.write_str("MAP@R"),
        }
    }
}

impl FromStr for Measure {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_lowercase();
        if ["map_at_r", "map@r"].contains(&name.as_str()) {
            return Ok(Self::MapAtR);
        }
        let k = name
            .strip_prefix("recall@")
            .or_else(|| name.strip_prefix("r@"));
        match k.and_then(|k| k.parse().ok()) {
            Some(k) if k > 0 => Ok(Self::Recall(k)),
            _ => Err("give \"recall@K\", such as \"recall@1\", or \"map_at_r\""),
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
