//! The value of `model.weights`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The names that stand for published files. A file of such a name is written with its folder, as
/// in `./imagenet`.
const IMAGENET: &str = "imagenet";
const IMAGENET_V2: &str = "imagenet-v2";

/// Where pretrained weights come from; in a configuration and on the command line a path,
/// `imagenet` or `imagenet-v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum WeightsSource {
    /// A file: a PyTorch state dictionary (`.pth`, `.pt`) or `.safetensors`.
    File(PathBuf),
    /// The backbone's published ImageNet weights; of several files the first.
    ImageNet,
    /// The second file of the backbone's authors, where there is one.
    ImageNetV2,
}

impl WeightsSource {
    /// The same with a file's path made absolute, so that it is found from any working directory.
    ///
    /// # Errors
    ///
    /// When there is no working directory.
    pub fn with_absolute_path(self) -> std::io::Result<Self> {
        match self {
            Self::File(path) => Ok(Self::File(std::path::absolute(path)?)),
            published => Ok(published),
        }
    }
}

impl From<PathBuf> for WeightsSource {
    fn from(path: PathBuf) -> Self {
        // As text: paths are compared by their parts, by which `imagenet/` would be `imagenet`.
        match path.to_str() {
            Some(IMAGENET) => Self::ImageNet,
            Some(IMAGENET_V2) => Self::ImageNetV2,
            _ => Self::File(path),
        }
    }
}

impl From<&str> for WeightsSource {
    fn from(text: &str) -> Self {
        PathBuf::from(text).into()
    }
}

impl From<WeightsSource> for PathBuf {
    fn from(source: WeightsSource) -> Self {
        match source {
            WeightsSource::File(path) => match WeightsSource::from(path.clone()) {
                WeightsSource::File(_) => path,
                _ => Path::new(".").join(path),
            },
            WeightsSource::ImageNet => IMAGENET.into(),
            WeightsSource::ImageNetV2 => IMAGENET_V2.into(),
        }
    }
}

impl fmt::Display for WeightsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PathBuf::from(self.clone()).display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_published_files_and_anything_else_is_a_path() {
        assert_eq!(WeightsSource::from("imagenet"), WeightsSource::ImageNet);
        assert_eq!(
            WeightsSource::from("imagenet-v2"),
            WeightsSource::ImageNetV2
        );
        for path in ["./imagenet", "imagenet/", "imagenet.pth", "a b.pt"] {
            let file = WeightsSource::File(path.into());
            assert_eq!(WeightsSource::from(path), file);
        }
    }

    #[test]
    fn every_source_is_read_from_what_it_is_written_as() {
        let file = |path: &str| WeightsSource::File(path.into());
        for (source, written) in [
            (WeightsSource::ImageNet, "imagenet"),
            (WeightsSource::ImageNetV2, "imagenet-v2"),
            (file("weights.pth"), "weights.pth"),
            (file("./imagenet"), "./imagenet"),
        ] {
            assert_eq!(source.to_string(), written);
            assert_eq!(WeightsSource::from(written), source);
        }
        let ambiguous = file("imagenet").to_string();
        assert_eq!(
            WeightsSource::from(ambiguous.as_str()),
            file("./imagenet"),
            "a file is never written as the name of a published one"
        );
    }
}
