//! What to embed with.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};

use super::InferenceError;
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::inference::export::ExportedEmbedder;
use crate::model::config::Backbone;
use crate::model::{Embedder, EmbedderConfig};
use crate::progress::ProgressObserver;
use crate::training::{self, Checkpoint, RunFolder};

/// Side of the input that the published ImageNet weights are measured with, in pixels.
const IMAGENET_SIZE: usize = 224;

/// The shorter side of which the middle is then cut out, in pixels (torchvision's `presets`).
const IMAGENET_RESIZE: usize = 256;

/// A backbone with pretrained weights and nothing above it.
#[derive(Debug, Clone)]
pub struct PretrainedBackbone {
    /// The backbone, as `model.backbone` takes it.
    pub backbone: String,
    /// The weights, as `model.weights` takes them.
    pub weights: String,
    /// Side of the network's input, in pixels; by default what suits the backbone.
    pub image_size: Option<usize>,
    /// The shorter side of which the middle is cut out, in pixels; by default in the same proportion
    /// to the input as is usual.
    pub resize: Option<usize>,
}

/// What to embed with: the network, and how images are brought to it.
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

/// A network on the device.
#[derive(Debug)]
pub enum EmbeddingNetwork<B: Backend> {
    /// A trained one, which gives embeddings.
    Embedder(Embedder<B>),
    /// One whose head was never trained, which gives the pooled features under it.
    Backbone(Embedder<B>),
}

impl EmbeddingSource {
    /// The run in a folder, at the best checkpoint if none is chosen, or an exported embedder.
    ///
    /// # Errors
    /// When there is neither, the run has no such checkpoint, or one is chosen of a file.
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
            return Err(InferenceError::NoSource { path }.into());
        }
        if checkpoint.is_some() {
            return Err(InferenceError::CheckpointOfFile { path }.into());
        }
        let exported = ExportedEmbedder::read(&path)?;
        Ok(Self {
            config: exported.config().clone(),
            origin: Origin::Exported(Box::new(exported)),
        })
    }

    /// A backbone with pretrained weights. Images are brought to it as ImageNet's are when such
    /// weights are measured: the shorter side resized, the middle cut out, ImageNet's mean and
    /// deviation.
    ///
    /// # Errors
    /// When there is no such backbone, or its input cannot have that size.
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

    /// How images are brought to the network, and how they are loaded and embedded.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same, to be changed where the network allows it: loading, batches, mirror averaging.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// What it is, for a line on the screen.
    pub fn describe(&self) -> String {
        match &self.origin {
            Origin::Run { folder, epoch } => {
                format!("{} at epoch {epoch}", folder.path().display())
            }
            Origin::Exported(exported) => exported.path().display().to_string(),
            Origin::Backbone => format!("pooled features of {}", self.config.model.backbone),
        }
    }

    /// The network at `compute`.
    ///
    /// # Errors
    /// When published weights cannot be had, or a checkpoint, an exported file or weights are damaged or of another network.
    pub fn network<B: Backend>(
        &self,
        compute: &ComputeContext<B>,
        cancellation: &CancellationToken,
        progress: &dyn ProgressObserver,
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
                    .with_located_weights(cancellation, progress)?;
                EmbeddingNetwork::Backbone(config.init_pretrained(&compute.device)?)
            }
        })
    }
}

/// Side of the input that weights of a backbone are usually made for.
fn usual_size(backbone: Backbone) -> usize {
    match backbone {
        Backbone::Conv4 => Config::default().data.transform.image_size,
        _ => IMAGENET_SIZE,
    }
}

/// ImageNet's proportion of the resized to the cut-out side.
fn usual_resize(side: usize) -> usize {
    side * IMAGENET_RESIZE / IMAGENET_SIZE
}

impl<B: Backend> EmbeddingNetwork<B> {
    /// Embeddings, or pooled features, `[N, D]` of images `[N, 3, S, S]`; with `mirror` the mean of
    /// those of the images and of their mirror images.
    pub fn embed(&self, images: Tensor<B, 4>, mirror: bool) -> Tensor<B, 2> {
        const WIDTH: isize = 3;
        match (self, mirror) {
            (Self::Embedder(embedder), false) => embedder.forward(images),
            (Self::Embedder(embedder), true) => embedder.forward_mirrored(images),
            (Self::Backbone(network), false) => network.pooled_features(images),
            (Self::Backbone(network), true) => {
                let mirrored = network.pooled_features(images.clone().flip([WIDTH]));
                (network.pooled_features(images) + mirrored) / 2.0
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
    fn pretrained_backbones_see_what_their_weights_were_measured_with() {
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
    fn unknown_backbones_and_sizes_that_cannot_be_are_named() {
        let message = pretrained("alexnet", None).unwrap_err().to_string();
        assert!(message.contains("alexnet"), "{message}");
        let message = pretrained("googlenet", Some(8)).unwrap_err().to_string();
        assert!(message.contains("`data.image_size = 8`"), "{message}");
    }
}
