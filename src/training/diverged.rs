//! The record of the step at which a training diverged, for inspection.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Serialize;

use super::divergence::Divergence;
use super::run_folder::RunFolder;
use super::step_statistics::StepStatistics;
use crate::atomic_file;
use crate::data::Split;

/// A step at which a training diverged.
pub(super) struct DivergedStep<'a> {
    /// From 1.
    pub(super) epoch: usize,
    /// In the epoch, from 1.
    pub(super) step: usize,
    pub(super) cause: Divergence,
    pub(super) statistics: Option<StepStatistics>,
    /// Its images, as indices into the training split.
    pub(super) images: &'a [usize],
    /// Their embeddings, row by row; empty if only the update of the step diverged.
    pub(super) embeddings: &'a [f32],
}

/// `step.json`. Numbers that are not finite are null.
#[derive(Serialize)]
struct StepDescription {
    epoch: usize,
    step: usize,
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<StatisticsDescription>,
    images: Vec<ImageDescription>,
}

#[derive(Serialize)]
struct StatisticsDescription {
    loss_sum: f64,
    loss_mean: f64,
    anchors: usize,
    active: usize,
    mined: usize,
    mean_positive: f64,
    mean_negative: f64,
}

#[derive(Serialize)]
struct ImageDescription {
    image: String,
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finite_embedding: Option<bool>,
}

impl DivergedStep<'_> {
    /// Writes the step into `diverged/epoch-E-step-S` of a run: `step.json`, and if there are embeddings
    /// `embeddings.safetensors` with `embeddings` `[N, D]` and `labels` `[N]`. Returns the folder. An
    /// existing record is kept.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn write(&self, folder: &RunFolder, split: &Split) -> std::io::Result<PathBuf> {
        let name = format!("epoch-{}-step-{}", self.epoch, self.step);
        let path = folder.diverged().join(name);
        if path.exists() {
            return Ok(path);
        }
        fs::create_dir_all(&path)?;
        if !self.embeddings.is_empty() {
            self.write_embeddings(&path, split)?;
        }
        let text = serde_json::to_string_pretty(&self.describe(split));
        let text = text.expect("a description is plain data");
        atomic_file::replace(&path.join("step.json"), text.as_bytes())?;
        Ok(path)
    }

    /// D, or 0 without embeddings.
    fn dim(&self) -> usize {
        self.embeddings.len() / self.images.len().max(1)
    }

    fn describe(&self, split: &Split) -> StepDescription {
        let mut rows = self.embeddings.chunks(self.dim().max(1));
        let images = self.images.iter().map(|&image| ImageDescription {
            image: split.image_name(image),
            class: split.class_names()[split.labels()[image]].clone(),
            finite_embedding: rows
                .next()
                .map(|row| row.iter().all(|value| value.is_finite())),
        });
        StepDescription {
            epoch: self.epoch,
            step: self.step,
            cause: self.cause.to_string(),
            statistics: self.statistics.map(|step| StatisticsDescription {
                loss_sum: step.loss.sum,
                loss_mean: step.loss.mean,
                anchors: step.loss.anchors,
                active: step.loss.active,
                mined: step.loss.mined,
                mean_positive: step.loss.mean_positive,
                mean_negative: step.loss.mean_negative,
            }),
            images: images.collect(),
        }
    }

    fn write_embeddings(&self, path: &Path, split: &Split) -> std::io::Result<()> {
        let embeddings = self.embeddings.iter().flat_map(|x| x.to_le_bytes());
        let embeddings: Vec<u8> = embeddings.collect();
        let labels = self
            .images
            .iter()
            .map(|&image| split.labels()[image] as i64);
        let labels: Vec<u8> = labels.flat_map(i64::to_le_bytes).collect();
        let count = self.images.len();
        let view =
            |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).expect("shapes match");
        let tensors = [
            (
                "embeddings",
                view(Dtype::F32, vec![count, self.dim()], &embeddings),
            ),
            ("labels", view(Dtype::I64, vec![count], &labels)),
        ];
        let bytes = serialize(tensors, None::<HashMap<String, String>>);
        let bytes = bytes.map_err(std::io::Error::other)?;
        atomic_file::replace(&path.join("embeddings.safetensors"), &bytes)
    }
}
