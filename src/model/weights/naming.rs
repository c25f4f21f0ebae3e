//! Names that libraries give to the tensors of the same network.

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamingScheme {
    /// The original network's: torchvision's or `efficientnet_lite_pytorch`'s. timm's `resnet50` has
    /// torchvision's.
    Original,
    /// timm's, of `tf_efficientnet_lite0`.
    Timm,
    /// Those of Hugging Face's transformers, of `microsoft/resnet-50`.
    HuggingFace,
    /// Those of `torch.nn.Sequential(*network.children())` with torchvision's networks.
    Sequential,
}

/// The children of torchvision's networks with tensors, and their positions.
const CHILDREN: [(&str, usize); 17] = [
    ("conv1", 0),
    // ResNet-50, whose ReLU and pool have no tensors.
    ("bn1", 1),
    ("layer1", 4),
    ("layer2", 5),
    ("layer3", 6),
    ("layer4", 7),
    // GoogLeNet, whose pools have none.
    ("conv2", 2),
    ("conv3", 3),
    ("inception3a", 5),
    ("inception3b", 6),
    ("inception4a", 8),
    ("inception4b", 9),
    ("inception4c", 10),
    ("inception4d", 11),
    ("inception4e", 12),
    ("inception5a", 14),
    ("inception5b", 15),
];

/// The blocks in each of timm's stages of EfficientNet-Lite0.
const TIMM_STAGES: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];

/// timm's names of the layers in the first block, which does not expand, and in the other blocks.
const TIMM_FIRST_BLOCK: [(&str, &str); 4] = [
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn1"),
    ("_project_conv", "conv_pw"),
    ("_bn2", "bn2"),
];
const TIMM_BLOCK: [(&str, &str); 6] = [
    ("_expand_conv", "conv_pw"),
    ("_bn0", "bn1"),
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn2"),
    ("_project_conv", "conv_pwl"),
    ("_bn2", "bn3"),
];

impl NamingScheme {
    pub(super) const ALL: [Self; 4] = [
        Self::Original,
        Self::Timm,
        Self::HuggingFace,
        Self::Sequential,
    ];

    /// The name of the original network's tensor `original`; `None` if the scheme does not have its network.
    pub(in crate::model) fn name(self, original: &str) -> Option<String> {
        let parts: Vec<&str> = original.split('.').collect();
        match self {
            Self::Original => Some(original.to_string()),
            Self::Timm => timm(&parts),
            Self::HuggingFace => hugging_face(&parts),
            Self::Sequential => {
                let child = renamed(&CHILDREN, parts[0])?;
                Some(format!("{child}.{}", parts.get(1..)?.join(".")))
            }
        }
    }
}

fn renamed<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    let found = names.iter().find(|(original, _)| *original == name);
    found.map(|(_, new)| *new)
}

/// timm's name of a tensor of EfficientNet-Lite0.
fn timm(parts: &[&str]) -> Option<String> {
    match *parts {
        ["_conv_stem", kind] => Some(format!("conv_stem.{kind}")),
        ["_bn0", kind] => Some(format!("bn1.{kind}")),
        ["_conv_head", kind] => Some(format!("conv_head.{kind}")),
        ["_bn1", kind] => Some(format!("bn2.{kind}")),
        ["_blocks", block, layer, kind] => {
            let block: usize = block.parse().ok()?;
            let layers = if block == 0 {
                &TIMM_FIRST_BLOCK[..]
            } else {
                &TIMM_BLOCK
            };
            let layer = renamed(layers, layer)?;
            let (mut stage, mut index) = (0, block);
            while index >= *TIMM_STAGES.get(stage)? {
                index -= TIMM_STAGES[stage];
                stage += 1;
            }
            Some(format!("blocks.{stage}.{index}.{layer}.{kind}"))
        }
        _ => None,
    }
}

/// The name in Hugging Face's transformers of a tensor of ResNet-50.
fn hugging_face(parts: &[&str]) -> Option<String> {
    /// The number from 0 of a name such as `layer1`.
    fn number(name: &str, start: &str) -> Option<usize> {
        let number: usize = name.strip_prefix(start)?.parse().ok()?;
        number.checked_sub(1)
    }
    match *parts {
        ["conv1", kind] => Some(format!("embedder.embedder.convolution.{kind}")),
        ["bn1", kind] => Some(format!("embedder.embedder.normalization.{kind}")),
        [layer, block, ref inner @ ..] => {
            let stage = number(layer, "layer")?;
            let inner = match *inner {
                ["downsample", "0", kind] => format!("shortcut.convolution.{kind}"),
                ["downsample", "1", kind] => format!("shortcut.normalization.{kind}"),
                [name, kind] => match (number(name, "conv"), number(name, "bn")) {
                    (Some(index), _) => format!("layer.{index}.convolution.{kind}"),
                    (_, Some(index)) => format!("layer.{index}.normalization.{kind}"),
                    _ => return None,
                },
                _ => return None,
            };
            Some(format!("encoder.stages.{stage}.layers.{block}.{inner}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_libraries_are_found() {
        for (scheme, original, expected) in [
            (NamingScheme::Original, "conv1.weight", "conv1.weight"),
            (NamingScheme::Timm, "_bn0.weight", "bn1.weight"),
            (
                NamingScheme::Timm,
                "_blocks.0._project_conv.weight",
                "blocks.0.0.conv_pw.weight",
            ),
            (
                NamingScheme::Timm,
                "_blocks.15._bn2.running_var",
                "blocks.6.0.bn3.running_var",
            ),
            (
                NamingScheme::HuggingFace,
                "layer4.2.bn3.running_mean",
                "encoder.stages.3.layers.2.layer.2.normalization.running_mean",
            ),
            (
                NamingScheme::HuggingFace,
                "layer1.0.downsample.0.weight",
                "encoder.stages.0.layers.0.shortcut.convolution.weight",
            ),
            (
                NamingScheme::Sequential,
                "layer4.2.conv3.weight",
                "7.2.conv3.weight",
            ),
            (
                NamingScheme::Sequential,
                "inception5b.branch1.bn.bias",
                "15.branch1.bn.bias",
            ),
        ] {
            assert_eq!(scheme.name(original).as_deref(), Some(expected));
        }
        for (scheme, original) in [
            (NamingScheme::Timm, "layer1.0.conv1.weight"),
            (NamingScheme::Timm, "_blocks.16._bn2.weight"),
            (NamingScheme::HuggingFace, "conv1.conv.weight"),
            (NamingScheme::HuggingFace, "layer0.0.bn1.weight"),
            (NamingScheme::Sequential, "blocks.0.conv.weight"),
        ] {
            assert_eq!(scheme.name(original), None, "{scheme:?} {original}");
        }
    }
}
