//! The record of the first step whose loss or embeddings are not finite, for inspection.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Serialize;

use super::run_folder::RunFolder;
use super::step_statistics::{DivergedBatch, FinishedStep};
use crate::atomic_file;
use crate::data::Split;

/// `step.json`. Numbers that are not finite are null.
#[derive(Serialize)]
struct StepDescription {
    epoch: usize,
    step: usize,
    loss_sum: f64,
    loss_mean: f64,
    anchors: usize,
    active: usize,
    mined: usize,
    mean_positive: f64,
    mean_negative: f64,
    images: Vec<ImageDescription>,
}

#[derive(Serialize)]
struct ImageDescription {
    image: String,
    class: String,
    finite_embedding: bool,
}

/// Writes the batch, embeddings and statistics of a step into `diverged/epoch-E-step-S` of a run:
/// `step.json`, and `embeddings.safetensors` with `embeddings` `[N, D]` and `labels` `[N]`. Returns the
/// folder, or `None` if the step has no batch. An existing record is kept.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write_diverged_step(
    folder: &RunFolder,
    split: &Split,
    (epoch, step): (usize, usize),
    finished: &FinishedStep,
) -> std::io::Result<Option<PathBuf>> {
    let Some(batch) = &finished.diverged else {
        return Ok(None);
    };
    let path = folder.diverged().join(format!("epoch-{epoch}-step-{step}"));
    if path.exists() {
        return Ok(Some(path));
    }
    fs::create_dir_all(&path)?;
    let dim = batch.embeddings.len() / batch.images.len().max(1);
    let rows = batch.embeddings.chunks(dim.max(1));
    let images = batch.images.iter().zip(&batch.labels).zip(rows);
    let loss = &finished.statistics.loss;
    let description = StepDescription {
        epoch,
        step,
        loss_sum: loss.sum,
        loss_mean: loss.mean,
        anchors: loss.anchors,
        active: loss.active,
        mined: loss.mined,
        mean_positive: loss.mean_positive,
        mean_negative: loss.mean_negative,
        images: images
            .map(|((&image, &label), row)| ImageDescription {
                image: split.image_name(image),
                class: split.class_names()[label as usize].clone(),
                finite_embedding: row.iter().all(|value| value.is_finite()),
            })
            .collect(),
    };
    write_embeddings(&path, batch, dim)?;
    let text = serde_json::to_string_pretty(&description).expect("a description is plain data");
    atomic_file::replace(&path.join("step.json"), text.as_bytes())?;
    Ok(Some(path))
}

fn write_embeddings(path: &Path, batch: &DivergedBatch, dim: usize) -> std::io::Result<()> {
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let embeddings = bytes(&batch.embeddings);
    let labels: Vec<u8> = batch.labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    let count = batch.images.len();
    let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).expect("shapes match");
    let tensors = [
        (
            "embeddings",
            view(Dtype::F32, vec![count, dim], &embeddings),
        ),
        ("labels", view(Dtype::I64, vec![count], &labels)),
    ];
    let bytes = serialize(tensors, None::<HashMap<String, String>>);
    let bytes = bytes.map_err(std::io::Error::other)?;
    atomic_file::replace(&path.join("embeddings.safetensors"), &bytes)
}
