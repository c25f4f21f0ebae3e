//! The variants of LoOp.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A variant of LoOp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopNegatives {
    /// The pairs of images with a curve between them.
    pub pairs: LoopPairs,
    /// The anchors.
    pub anchors: LoopAnchors,
    /// K, if rows Ki to Ki + K − 1 are the images of a class for every i, as in a training batch. It matters for
    /// [all pairs](LoopPairs::All) only: without it, the labels are read from the device, which waits for it.
    pub images_per_class: Option<usize>,
}

/// The pairs of images with a curve between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoopPairs {
    /// Images 2i and 2i + 1 of a batch: K/2 pairs of a class of K images, as published.
    #[default]
    Consecutive,
    /// Every two images of a class: K(K − 1)/2 pairs.
    All,
}

/// The anchors of LoOp.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoopAnchors {
    /// Each pair, as published. Its positive is the farthest image of the class from either of its images.
    #[default]
    Pairs,
    /// Each image. Its negatives are on the nearest of the curves that end in it and in an image of another class.
    Images,
    /// Each image as a point. Its negatives are on the nearest of the curves that end in an image of another class.
    Points,
}

impl LoopNegatives {
    /// LoOp as published: consecutive pairs, which are the anchors.
    pub const PUBLISHED: Self = Self {
        pairs: LoopPairs::Consecutive,
        anchors: LoopAnchors::Pairs,
        images_per_class: None,
    };

    /// Whether this is LoOp as published.
    pub fn is_published(&self) -> bool {
        (self.pairs, self.anchors) == (LoopPairs::Consecutive, LoopAnchors::Pairs)
    }
}

impl Default for LoopNegatives {
    fn default() -> Self {
        Self::PUBLISHED
    }
}

impl LoopPairs {
    /// The names in the configuration.
    pub const NAMES: [&'static str; 2] = ["consecutive", "all"];
}

impl LoopAnchors {
    /// The names in the configuration.
    pub const NAMES: [&'static str; 3] = ["pairs", "images", "points"];
}
