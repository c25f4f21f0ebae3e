//! The records of a run folder: of the run, and of each epoch.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cancellation::Cancelled;
use crate::config::Protocol;
use crate::data::{Coverage, DataError, Split, Splits, ValidationSource};
use crate::evaluation::{Recall, Role};
use crate::model::Precision;
use crate::progress::Monitor;
use crate::training::measured::Measured;

/// The record of a run, `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this program.
    pub loop_dml: String,
    /// Version of Burn.
    pub burn: String,
    /// Backend and device.
    pub backend: String,
    /// Threads that shared the batches, if the CPU computed. The order of sums depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Processes that shared the batches, if there were several, when the run began; `changes` has later numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<usize>,
    /// Seed of initialisation, batches and augmentation.
    pub seed: u64,
    /// Number format of the backbone in training when the run began; `changes` has later ones.
    #[serde(default)]
    pub precision: Precision,
    /// Trainable parameters of the network.
    pub parameters: usize,
    /// How the file of pretrained weights was read, if it is not exactly the backbone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<String>,
    /// The split that chooses the best epoch. Runs of versions 0.1 and 0.2 chose by the test split.
    #[serde(default = "published")]
    pub protocol: Protocol,
    /// The training images.
    pub train: SplitSummary,
    /// The images of the validation classes; `None` with the published protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<SplitSummary>,
    /// Where the validation classes come from. Absent in runs that began before lists could name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_source: Option<ValidationSource>,
    /// The test images.
    pub test: SplitSummary,
    /// The share of the training images that the first epoch covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// The configuration as TOML, without the keys that may change when the run is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Changes of the configuration when the run was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ConfigChange>,
    /// Images that were skipped because they could not be read, in the order in which this was noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

impl RunRecord {
    /// The change to this number of processes after `epoch`; `None` if the run was trained by as many before.
    pub(in crate::training) fn other_processes(
        &self,
        processes: usize,
        epoch: usize,
    ) -> Option<ConfigChange> {
        const KEY: &str = "processes";
        let changes = self.changes.iter().rev();
        let last = changes
            .filter(|change| change.key == KEY)
            .find_map(|change| change.after.as_u64());
        let before = last.unwrap_or(self.processes.unwrap_or(1) as u64);
        (before != processes as u64).then(|| ConfigChange {
            epoch,
            key: KEY.to_string(),
            before: before.into(),
            after: processes.into(),
        })
    }
}

fn published() -> Protocol {
    Protocol::Published
}

/// A key that was changed when a run was resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// The last complete epoch before the change.
    pub epoch: usize,
    /// The dotted key.
    pub key: String,
    /// The value before; null if the key was absent.
    pub before: Value,
    /// The value after; null if the key is absent.
    pub after: Value,
}

/// The identity of a split, so that a run is not evaluated or resumed on another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Number of images.
    pub images: usize,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Hash of the names and lengths of the files ([`Split::files_digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// Number of queries, if not every image is both a query and in the gallery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<usize>,
    /// Number of images in the gallery, if not every image is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<usize>,
}

/// The summaries of all splits of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::training) struct SplitSummaries {
    pub(in crate::training) train: SplitSummary,
    pub(in crate::training) validation: Option<SplitSummary>,
    pub(in crate::training) test: SplitSummary,
}

impl SplitSummaries {
    /// The summaries of `splits`.
    ///
    /// # Errors
    /// If a stop was requested.
    pub(in crate::training) fn new(
        splits: &Splits,
        monitor: Monitor<'_>,
    ) -> Result<Self, DataError> {
        let summary = |split| SplitSummary::new(split, monitor);
        Ok(Self {
            train: summary(&splits.train)?,
            validation: splits.validation.as_ref().map(summary).transpose()?,
            test: summary(&splits.test)?,
        })
    }
}

impl SplitSummary {
    /// The summary of `split`.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn new(split: &Split, monitor: Monitor<'_>) -> Result<Self, Cancelled> {
        let count = |wanted: fn(Role) -> bool| {
            let roles = split.roles()?;
            Some(roles.iter().filter(|&&role| wanted(role)).count())
        };
        Ok(Self {
            queries: count(Role::is_query),
            gallery: count(Role::is_in_gallery),
            files: split.files_digest(monitor)?,
            images: split.labels().len(),
            classes: split.class_names().to_vec(),
        })
    }
}

impl SplitSummary {
    /// Whether the numbers of images, queries and gallery images and the classes are equal.
    pub fn same_counts(&self, other: &Self) -> bool {
        (self.images, &self.classes, self.queries, self.gallery)
            == (other.images, &other.classes, other.queries, other.gallery)
    }

    /// Whether only the roles of the images differ: which are queries and which are in the gallery.
    pub fn roles_differ(&self, other: &Self) -> bool {
        let same_images = (self.images, &self.classes) == (other.images, &other.classes);
        same_images && (self.queries, self.gallery) != (other.queries, other.gallery)
    }

    /// The numbers of queries and gallery images in words.
    pub fn roles(&self) -> String {
        match (self.queries, self.gallery) {
            (Some(queries), Some(gallery)) => {
                format!("{queries} queries and {gallery} gallery images")
            }
            _ => "all images as queries and in the gallery".to_string(),
        }
    }

    /// The number of images that `now` lacks, if it is the same split with fewer images.
    pub fn missing_images(&self, now: &Self) -> Option<usize> {
        let missing = self.images.checked_sub(now.images)?;
        (missing > 0 && self.classes == now.classes).then_some(missing)
    }

    /// Whether the files of both are known and differ.
    pub fn files_differ(&self, other: &Self) -> bool {
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

/// The record of an epoch, a line of `metrics.jsonl`.
///
/// Checkpoints contain a hash of these records, so a field that is added must not be serialized if it is
/// absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1; epoch 0 is the untrained network.
    pub epoch: usize,
    /// Training metrics by name (`loss`, `learning_rate`, and the keys of
    /// [`Statistic`](crate::training::Statistic)), each the mean over the epoch's anchors or steps. Empty for epoch 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub training: BTreeMap<String, f64>,
    /// Recall on the validation classes, or with the published protocol on the test split, if the epoch was
    /// evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
    /// MAP@R on the same split, 0 to 1; `None` in runs of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_at_r: Option<f64>,
    /// Wall-clock seconds of the epoch with its validation.
    pub seconds: f64,
}

impl EpochRecord {
    /// The measures of the split that chooses the best epoch, if the epoch was evaluated.
    pub fn measured(&self) -> Option<Measured> {
        Some(Measured {
            recall: self.recall.clone()?,
            map_at_r: self.map_at_r,
        })
    }
}
