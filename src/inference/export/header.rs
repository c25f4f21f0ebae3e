//! The description of an exported embedder in its metadata.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::ExportError;
use crate::config::Config;
use crate::data::config::{DatasetConfig, EmbeddingsConfig, EvalResize, TransformConfig};
use crate::model::config::{Backbone, ModelConfig, WeightsSource};
use crate::shorten::shorten;

/// The key of the header in the metadata.
pub(super) const METADATA_KEY: &str = "loop-dml";

/// The format that is written, and the only one that is read. It is increased if a reader of the
/// previous one would compute other embeddings.
const FORMAT: u64 = 1;

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything besides the tensors that is needed to embed images as the evaluation in training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    format: u64,
    /// The version that wrote the file.
    pub loop_dml: String,
    /// `[model]` of the run's configuration, as resolved; a weights file without its folder.
    pub model: ModelConfig,
    /// The preprocessing of images; `None` for a head on features, which standardises them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// Whether the embeddings of an image and its mirror image are averaged.
    pub mirror: bool,
    /// Batch size of the evaluation. It can change the last bit of an embedding.
    pub batch_size: usize,
    /// The epoch and its metrics; `None` if the run was not evaluated.
    pub measured: Option<EpochMetrics>,
}

/// The preprocessing of test images: the keys of `[data]` with the same names, see
/// [`TransformConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the network's square input, in pixels.
    pub image_size: usize,
    /// Shorter side before the centre crop, in pixels; unused without a crop.
    pub resize: usize,
    /// How an image is resized to the square.
    #[serde(alias = "test_view", deserialize_with = "eval_resize")]
    pub eval_resize: EvalResize,
    /// Whether large JPEGs are decoded at a reduced size.
    #[serde(alias = "reduced_decoding")]
    pub jpeg_dct_scaling: bool,
    /// Mean subtracted from red, green and blue, on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation that red, green and blue are divided by.
    pub std: [f32; 3],
}

/// Reads `eval_resize`, also as version 0.1 wrote it: `straight` for `direct`.
fn eval_resize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EvalResize, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum EvalResizeName {
        #[serde(alias = "straight")]
        Direct,
        CenterCrop,
    }
    Ok(match EvalResizeName::deserialize(deserializer)? {
        EvalResizeName::Direct => EvalResize::Direct,
        EvalResizeName::CenterCrop => EvalResize::CenterCrop,
    })
}

/// The metrics of the exported run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// The epoch of the checkpoint, from 1.
    pub epoch: usize,
    /// Recall@1 on the run's test split, 0 to 1; `None` if that epoch was not measured.
    pub recall_at_1: Option<f64>,
}

impl ExportHeader {
    /// Creates the header of an embedder trained with `config`.
    pub(super) fn new(config: &Config, measured: Option<EpochMetrics>) -> Self {
        let t = &config.data.transform;
        Self {
            format: FORMAT,
            loop_dml: OWN_VERSION.into(),
            model: without_weights_path(&config.model),
            preprocessing: (config.model.backbone != Backbone::None).then_some(Preprocessing {
                image_size: t.image_size,
                resize: t.resize,
                eval_resize: t.eval_resize,
                jpeg_dct_scaling: t.jpeg_dct_scaling,
                mean: t.mean,
                std: t.std,
            }),
            mirror: config.evaluation.mirror,
            batch_size: config.evaluation.batch_size,
            measured,
        }
    }

    /// Parses the header from the metadata of `path`; `text` is `None` if the metadata lacks it.
    ///
    /// # Errors
    /// If it is missing or damaged, or if only another version can read it.
    pub(super) fn parse(text: Option<&str>, path: &Path) -> Result<Self, ExportError> {
        let text = text.ok_or_else(|| ExportError::Foreign { path: path.into() })?;
        let damaged = |error: serde_json::Error| ExportError::Header {
            path: path.into(),
            reason: shorten(&error.to_string()).into_owned(),
        };
        let value: Value = serde_json::from_str(text).map_err(damaged)?;
        let writer = value["loop_dml"].as_str().map(String::from);
        // A later format may have other keys, so the format is checked first.
        if let Some(found) = value["format"].as_u64().filter(|&found| found != FORMAT) {
            return Err(ExportError::Format {
                path: path.into(),
                found,
                known: FORMAT,
                writer: shorten(&writer.unwrap_or("unknown".into())).into_owned(),
            });
        }
        // Another version may write other keys in the same format.
        serde_json::from_value(value).map_err(|error| match writer {
            Some(writer) if writer != OWN_VERSION => ExportError::Version {
                path: path.into(),
                reason: shorten(&error.to_string()).into_owned(),
                writer,
                own: OWN_VERSION,
            },
            _ => damaged(error),
        })
    }

    /// Returns the header as a checked configuration. Other keys have their defaults.
    ///
    /// # Errors
    /// If a value is invalid.
    pub(super) fn config(&self, path: &Path) -> Result<Config, ExportError> {
        let mut config = Config {
            model: self.model.clone(),
            ..Config::default()
        };
        match &self.preprocessing {
            Some(p) => {
                config.data.transform = TransformConfig {
                    image_size: p.image_size,
                    resize: p.resize,
                    eval_resize: p.eval_resize,
                    jpeg_dct_scaling: p.jpeg_dct_scaling,
                    mean: p.mean,
                    std: p.std,
                    ..TransformConfig::default()
                };
            }
            // The file takes the place of the features, which it does not have.
            None => {
                config.data.source = DatasetConfig::Embeddings(EmbeddingsConfig {
                    root: path.into(),
                    ..EmbeddingsConfig::default()
                });
                if config.model.feature_dim.is_none() {
                    return Err(ExportError::Header {
                        path: path.into(),
                        reason: "missing model.feature_dim".into(),
                    });
                }
            }
        }
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

/// Returns the network without the folder of its weights file, which is private. To embed, only the
/// presence of weights matters.
fn without_weights_path(model: &ModelConfig) -> ModelConfig {
    let mut model = model.clone();
    if let Some(WeightsSource::File(path)) = &mut model.weights {
        *path = path.file_name().unwrap_or_default().into();
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of `preprocessing` as version 0.1 wrote it, with the `model` of this version.
    fn old_header(test_view: &str) -> String {
        let model = serde_json::to_string(&ModelConfig::default()).unwrap();
        format!(
            r#"{{
                "format": 1, "loop_dml": "0.1.0", "model": {model},
                "preprocessing": {{
                    "image_size": 32, "resize": 36, "test_view": "{test_view}",
                    "reduced_decoding": true,
                    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]
                }},
                "mirror": false, "batch_size": 64, "measured": null
            }}"#
        )
    }

    #[test]
    fn a_header_of_version_0_1_is_read_with_the_old_names_of_keys() {
        let path = Path::new("embedder.safetensors");
        for (test_view, expected) in [
            ("straight", EvalResize::Direct),
            ("center-crop", EvalResize::CenterCrop),
        ] {
            let header = ExportHeader::parse(Some(&old_header(test_view)), path).unwrap();
            let preprocessing = header.preprocessing.as_ref().unwrap();
            assert_eq!(preprocessing.eval_resize, expected);
            assert!(preprocessing.jpeg_dct_scaling);
            let written = serde_json::to_value(&header).unwrap();
            assert!(written["preprocessing"]["test_view"].is_null());
        }
    }
}
