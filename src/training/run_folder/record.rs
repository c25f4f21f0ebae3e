//! What a run folder records: the run as a whole, and each of its epochs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::{Coverage, Split};
use crate::evaluation::{Recall, Role};

/// What a run was trained with and on, as `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this program.
    pub loop_dml: String,
    /// Version of Burn.
    pub burn: String,
    /// Backend and device.
    pub backend: String,
    /// Threads that shared the batches, where the processor computed: sums are in the order of the
    /// parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Seed of initialisation, batches and augmentation.
    pub seed: u64,
    /// Numbers in the network that training changes.
    pub parameters: usize,
    /// The images that train.
    pub train: SplitSummary,
    /// The images that test.
    pub test: SplitSummary,
    /// How much of the training images the first epoch meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// What identifies a split, so that a run is not measured or resumed on another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Number of images.
    pub images: usize,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Hash of the files' names and lengths, as [`Split::files_digest`] gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// Number of queries, where not every image is one and in the gallery of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<usize>,
    /// Number of images in the gallery, where not every image is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<usize>,
}

impl SplitSummary {
    /// The summary of `split`.
    pub fn of(split: &Split) -> Self {
        let count = |wanted: fn(Role) -> bool| {
            let roles = split.roles()?;
            Some(roles.iter().filter(|&&role| wanted(role)).count())
        };
        Self {
            queries: count(Role::is_query),
            gallery: count(Role::is_in_gallery),
            files: split.files_digest(),
            images: split.labels().len(),
            classes: split.class_names().to_vec(),
        }
    }
}

impl SplitSummary {
    /// Whether both have as many images, queries and gallery, of the same classes.
    pub fn counts_as(&self, other: &Self) -> bool {
        (self.images, &self.classes, self.queries, self.gallery)
            == (other.images, &other.classes, other.queries, other.gallery)
    }

    /// Whether the files of both are known and differ in a name or a length.
    pub fn has_other_files(&self, other: &Self) -> bool {
        self.files.is_some() && other.files.is_some() && self.files != other.files
    }
}

impl fmt::Display for SplitSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images of {} classes",
            self.images,
            self.classes.len()
        )
    }
}

/// What is known of an epoch, a line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1; 0 is the untrained network.
    pub epoch: usize,
    /// Training measures by name (`loss`, `learning_rate`, and the keys of
    /// [`Statistic`](crate::training::Statistic)), each the mean over the epoch's anchors or steps. Empty for epoch 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub training: BTreeMap<String, f64>,
    /// Recall on the test split, where the epoch was validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
    /// Wall-clock seconds of the epoch with its validation.
    pub seconds: f64,
}
