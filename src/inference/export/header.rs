//! What the metadata of an exported embedder says.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExportError;
use crate::config::Config;
use crate::data::config::{TestView, TransformConfig};
use crate::model::config::{ModelConfig, WeightsSource};

/// The format that is written, and the only one that is read. It rises when a reader of the one
/// before would embed otherwise.
const FORMAT: u64 = 1;

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// All that is needed, beside the tensors, to embed images as the evaluation in training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    format: u64,
    /// The version that wrote the file.
    pub loop_dml: String,
    /// `[model]` of the run's configuration, as resolved; of a weights file only the name.
    pub model: ModelConfig,
    /// How an image becomes the network's input.
    pub preprocessing: Preprocessing,
    /// Whether the embeddings of an image and its mirror image are averaged.
    pub mirror: bool,
    /// Images embedded at once in the evaluation; it may change the last bit of an embedding.
    pub batch_size: usize,
    /// Which epoch it is of, and what it was measured at; none where nothing was measured.
    pub measured: Option<Measured>,
}

/// The keys of `[data]` that say how a test image becomes the network's input; see
/// [`TransformConfig`], whose names they bear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square that the network sees, in pixels.
    pub image_size: usize,
    /// The shorter side before the middle is cut out, in pixels; of no meaning for another view.
    pub resize: usize,
    /// How an image is brought to the square.
    pub test_view: TestView,
    /// Whether large JPEGs are decoded at a reduced size.
    pub reduced_decoding: bool,
    /// Mean subtracted from red, green and blue, on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation that red, green and blue are divided by.
    pub std: [f32; 3],
}

/// A measurement of the run that was exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The epoch of the checkpoint, from 1.
    pub epoch: usize,
    /// Recall@1 on the run's test split, 0 to 1; none where that epoch was not measured.
    pub recall_at_1: Option<f64>,
}

impl ExportHeader {
    /// The header of an embedder trained with `config`.
    pub(super) fn new(config: &Config, measured: Option<Measured>) -> Self {
        let t = &config.data.transform;
        Self {
            format: FORMAT,
            loop_dml: OWN_VERSION.into(),
            model: published(&config.model),
            preprocessing: Preprocessing {
                image_size: t.image_size,
                resize: t.resize,
                test_view: t.test_view,
                reduced_decoding: t.reduced_decoding,
                mean: t.mean,
                std: t.std,
            },
            mirror: config.evaluation.mirror,
            batch_size: config.evaluation.batch_size,
            measured,
        }
    }

    /// The header from the `text` in the metadata of `path`, if there is any.
    pub(super) fn parse(text: Option<&str>, path: &Path) -> Result<Self, ExportError> {
        let text = text.ok_or_else(|| ExportError::Foreign { path: path.into() })?;
        let damaged = |error: serde_json::Error| ExportError::Header {
            path: path.into(),
            reason: error.to_string(),
        };
        let value: Value = serde_json::from_str(text).map_err(damaged)?;
        let writer = value["loop_dml"].as_str().map(String::from);
        // A later format may have other keys: it is told as such.
        if let Some(found) = value["format"].as_u64().filter(|&found| found != FORMAT) {
            return Err(ExportError::Format {
                path: path.into(),
                found,
                known: FORMAT,
                writer: writer.unwrap_or("unknown".into()),
            });
        }
        // So may another version that embeds the same by what it has in common with this one.
        serde_json::from_value(value).map_err(|error| match writer {
            Some(writer) if writer != OWN_VERSION => ExportError::Version {
                path: path.into(),
                reason: error.to_string(),
                writer,
                own: OWN_VERSION,
            },
            _ => damaged(error),
        })
    }

    /// The header as a configuration, checked; what it does not say is by default.
    pub(super) fn config(&self, path: &Path) -> Result<Config, ExportError> {
        let p = &self.preprocessing;
        let mut config = Config {
            model: self.model.clone(),
            ..Config::default()
        };
        config.data.transform = TransformConfig {
            image_size: p.image_size,
            resize: p.resize,
            test_view: p.test_view,
            reduced_decoding: p.reduced_decoding,
            mean: p.mean,
            std: p.std,
            ..TransformConfig::default()
        };
        config.evaluation.mirror = self.mirror;
        config.evaluation.batch_size = self.batch_size;
        match config.check() {
            Ok(()) => Ok(config),
            Err(source) => Err(ExportError::Config {
                path: path.into(),
                source,
            }),
        }
    }
}

/// The network without the folder of its weights file, which is nobody else's business: to embed, it
/// matters only that there were weights.
fn published(model: &ModelConfig) -> ModelConfig {
    let mut model = model.clone();
    if let Some(WeightsSource::File(path)) = &mut model.weights {
        *path = path.file_name().unwrap_or_default().into();
    }
    model
}
