//! The network that embeds images, and its preprocessing.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};

use super::error::InferenceError;
use super::export::ExportedEmbedder;
use crate::backend::ComputeContext;
use crate::cancellation::Cancelled;
use crate::config::Config;
use crate::model::config::Backbone;
use crate::model::{Embedder, EmbedderConfig};
use crate::progress::{Monitor, Task};
use crate::training::{self, Checkpoint, RunFolder};

/// Side in pixels of the input that published ImageNet weights are evaluated with.
const IMAGENET_SIZE: usize = 224;

/// Shorter side in pixels before the centre crop (torchvision's `presets`).
const IMAGENET_RESIZE: usize = 256;

/// A backbone with pretrained weights and without a head.
#[derive(Debug, Clone)]
pub struct PretrainedBackbone {
    /// The backbone, in the syntax of `model.backbone`.
    pub backbone: String,
    /// The weights, in the syntax of `model.weights`.
    pub weights: String,
    /// Side of the network's input in pixels; `None` is 224, for conv4 32.
    pub image_size: Option<usize>,
    /// Shorter side in pixels before the centre crop; `None` is 8/7 of the input, as 256 is of 224.
    pub resize: Option<usize>,
}

/// A network that embeds images, and its preprocessing.
#[derive(Debug)]
pub struct EmbeddingSource {
    origin: Origin,
    config: Config,
}

#[derive(Debug)]
enum Origin {
    Run { folder: RunFolder, epoch: usize },
    Exported(Box<ExportedEmbedder>),
    Backbone,
}

/// A network on a device.
#[derive(Debug)]
pub enum EmbeddingNetwork<B: Backend> {
    /// A trained network, which returns embeddings.
    Embedder(Embedder<B>),
    /// A network without a trained head, which returns the pooled features.
    Backbone(Embedder<B>),
}

impl EmbeddingSource {
    /// Opens a run folder, at `checkpoint` or the best one, or an exported embedder.
    ///
    /// # Errors
    /// If `path` is neither, if the run lacks the checkpoint, or if a checkpoint is chosen for an
    /// exported embedder.
    pub fn open(path: &Path, checkpoint: Option<Checkpoint>) -> Result<Self, InferenceError> {
        if path.is_dir() {
            let folder = RunFolder::open(path)?;
            let config = folder.config(&[])?;
            let epoch = folder.checkpoint(checkpoint.unwrap_or(Checkpoint::Best))?;
            return Ok(Self {
                origin: Origin::Run { folder, epoch },
                config,
            });
        }
        let path = PathBuf::from(path);
        if !path.exists() {
            return Err(InferenceError::NoSource { path });
        }
        if checkpoint.is_some() {
            return Err(InferenceError::CheckpointOfFile { path });
        }
        let exported = ExportedEmbedder::read(&path)?;
        Ok(Self {
            config: exported.config().clone(),
            origin: Origin::Exported(Box::new(exported)),
        })
    }

    /// Opens a backbone with pretrained weights. Images are preprocessed as in the evaluation on
    /// ImageNet: the shorter side is resized, the centre is cropped, and values are normalised with
    /// ImageNet's mean and standard deviation.
    ///
    /// # Errors
    /// If the backbone is unknown, or its input cannot have this size.
    pub fn pretrained(pretrained: &PretrainedBackbone) -> Result<Self, InferenceError> {
        let PretrainedBackbone {
            backbone, weights, ..
        } = pretrained;
        let model = [
            format!("model.backbone={backbone}"),
            format!("model.weights={weights}"),
        ];
        let chosen = Config::parse("", "the command line", &model)?
            .model
            .backbone;
        let side = pretrained.image_size.unwrap_or(usual_size(chosen));
        let resize = pretrained.resize.unwrap_or(usual_resize(side));
        let transform = [
            format!("data.image_size={side}"),
            format!("data.resize={resize}"),
            "data.eval_resize=center-crop".to_string(),
        ];
        let config = Config::parse("", "the command line", &[&model[..], &transform].concat())?;
        config.check()?;
        Ok(Self {
            origin: Origin::Backbone,
            config,
        })
    }

    /// Returns the configuration of the preprocessing, the loader and the evaluation.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the configuration, to change the loader, the batch size or mirror averaging.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Returns whether it is a head on features of another model, which embeds no images.
    pub fn takes_features(&self) -> bool {
        self.config.model.backbone == Backbone::None
    }

    /// Checks that it embeds features, or images.
    ///
    /// # Errors
    /// If it embeds the other.
    pub fn check_input(&self, features: bool) -> Result<(), InferenceError> {
        match self.takes_features() == features {
            true => Ok(()),
            false => Err(InferenceError::Input {
                source_name: self.describe(),
                takes_features: self.takes_features(),
            }),
        }
    }

    /// Returns a description for a message.
    pub fn describe(&self) -> String {
        match &self.origin {
            Origin::Run { folder, epoch } => {
                format!("{} at epoch {epoch}", folder.path().display())
            }
            Origin::Exported(exported) => exported.path().display().to_string(),
            Origin::Backbone => format!("pooled features of {}", self.config.model.backbone),
        }
    }

    /// Loads the network to a device.
    ///
    /// # Errors
    /// If published weights cannot be downloaded, or if the checkpoint, exported file or weights are
    /// damaged or belong to another network.
    pub fn network<B: Backend>(
        &self,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<EmbeddingNetwork<B>, InferenceError> {
        Ok(match &self.origin {
            Origin::Run { folder, epoch } => {
                let embedder = training::load_embedder(folder, &self.config, *epoch, compute)?;
                EmbeddingNetwork::Embedder(embedder)
            }
            Origin::Exported(exported) => {
                EmbeddingNetwork::Embedder(exported.embedder(compute.conv, &compute.device)?)
            }
            Origin::Backbone => {
                let config = EmbedderConfig::from(&self.config.model)
                    .with_algorithm(compute.conv)
                    .with_located_weights(&monitor.cancellation(), monitor.observer())?;
                EmbeddingNetwork::Backbone(config.init_pretrained(&compute.device)?.module)
            }
        })
    }
}

/// Returns the usual side of the input of a backbone with pretrained weights.
fn usual_size(backbone: Backbone) -> usize {
    match backbone {
        Backbone::Conv4 | Backbone::None => Config::default().data.transform.image_size,
        _ => IMAGENET_SIZE,
    }
}

/// Returns the shorter side before the crop, in ImageNet's proportion to the input.
fn usual_resize(side: usize) -> usize {
    side * IMAGENET_RESIZE / IMAGENET_SIZE
}

impl<B: Backend> EmbeddingNetwork<B> {
    /// Returns whether it is a head on features of another model.
    pub fn takes_features(&self) -> bool {
        match self {
            Self::Embedder(embedder) | Self::Backbone(embedder) => embedder.takes_features(),
        }
    }

    /// Returns the embeddings, or the pooled features, of images. With `mirror`, they are averaged with
    /// those of the mirrored images. Counts the images in `task`; on a processor every few images.
    ///
    /// # Errors
    /// If a stop was requested.
    ///
    /// # Shapes
    /// - images: `[N, 3, S, S]`, or features `[N, F, 1, 1]`
    /// - output: `[N, D]`
    pub fn embed(
        &self,
        images: Tensor<B, 4>,
        mirror: bool,
        task: &Task<'_>,
    ) -> Result<Tensor<B, 2>, Cancelled> {
        let advance = |images| task.advance(images);
        match self {
            Self::Embedder(embedder) => embedder.forward_in_parts(images, mirror, advance),
            Self::Backbone(network) => {
                let features = network.pooled_features_in_parts(images, mirror, advance)?;
                Ok(match features {
                    (features, None) => features,
                    (features, Some(mirrored)) => (features + mirrored) / 2.0,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::EvalResize;

    fn pretrained(
        backbone: &str,
        image_size: Option<usize>,
    ) -> Result<EmbeddingSource, InferenceError> {
        EmbeddingSource::pretrained(&PretrainedBackbone {
            backbone: backbone.into(),
            weights: "weights.pth".into(),
            image_size,
            resize: None,
        })
    }

    #[test]
    fn pretrained_backbones_have_the_input_sizes_of_their_evaluation() {
        let sizes = |backbone, size| {
            let source = pretrained(backbone, size).unwrap();
            let transform = source.config().data.transform.clone();
            assert_eq!(transform.eval_resize, EvalResize::CenterCrop);
            (transform.image_size, transform.resize)
        };
        assert_eq!(sizes("googlenet", None), (224, 256));
        assert_eq!(sizes("googlenet", Some(112)), (112, 128));
        assert_eq!(sizes("conv4", None), (32, 36));
    }

    #[test]
    fn unknown_backbone_and_invalid_size_are_named() {
        let message = pretrained("alexnet", None).unwrap_err().to_string();
        assert!(message.contains("alexnet"), "{message}");
        let message = pretrained("googlenet", Some(8)).unwrap_err().to_string();
        assert!(message.contains("`data.image_size = 8`"), "{message}");
    }
}
