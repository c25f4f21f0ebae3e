//! `model.backbone`: the network below the head.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The backbones by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// Four convolution blocks for images of 32 to 64 pixels.
    Conv4,
    /// GoogLeNet with batch norm in torchvision's layout, up to `inception5b`. With weights, images are
    /// rescaled to (x − ½) / ½, as for its ImageNet weights.
    #[serde(rename = "googlenet")]
    GoogLeNet,
    /// ResNet-50 in torchvision's layout, up to `layer4`.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// EfficientNet-Lite0 in the layout of the package `efficientnet_lite_pytorch`, up to its last
    /// convolution. With weights, images are rescaled to (255 x − 127) / 128, as for its ImageNet
    /// weights.
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// No network: the head is trained on the features of `data.dataset = "embeddings"`.
    None,
}

impl Backbone {
    /// All networks for images.
    pub const ALL: [Self; 4] = [
        Self::Conv4,
        Self::GoogLeNet,
        Self::ResNet50,
        Self::EfficientNetLite0,
    ];

    /// Returns its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv4 => "conv4",
            Self::GoogLeNet => "googlenet",
            Self::ResNet50 => "resnet50",
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
