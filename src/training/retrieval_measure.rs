//! A retrieval measure by its name.

use std::fmt;
use std::str::FromStr;

use super::measured::Measured;

/// A retrieval measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrievalMeasure {
    /// Recall@K.
    RecallAt(usize),
    /// MAP@R.
    MapAtR,
}

impl RetrievalMeasure {
    /// Its value, 0 to 1; `None` if it was not measured.
    pub fn of(self, measured: &Measured) -> Option<f64> {
        match self {
            Self::RecallAt(k) => measured.recall.at.get(&k).copied(),
            Self::MapAtR => measured.map_at_r,
        }
    }
}

impl fmt::Display for RetrievalMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecallAt(k) => write!(f, "R@{k}"),
            Self::MapAtR => f.write_str("MAP@R"),
        }
    }
}

impl FromStr for RetrievalMeasure {
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
            Some(k) if k > 0 => Ok(Self::RecallAt(k)),
            _ => Err("give \"recall@K\", such as \"recall@1\", or \"map_at_r\""),
        }
    }
}
