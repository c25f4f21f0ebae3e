//! The value of `model.weights`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The names of published files. A user's file with such a name needs its folder: `./imagenet`.
const IMAGENET: &str = "imagenet";
const IMAGENET_V2: &str = "imagenet-v2";

/// The source of pretrained weights: in a configuration and on the command line a path, `imagenet` or
/// `imagenet-v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum WeightsSource {
    /// A file: a state dictionary or a checkpoint of PyTorch (`.pth`, `.pt`, `.ckpt`), or `.safetensors`.
    File(PathBuf),
    /// The backbone's published ImageNet weights; the first of several files.
    ImageNet,
    /// The second published file of ImageNet weights, if it exists.
    ImageNetV2,
}

impl WeightsSource {
    /// Makes a file's path absolute, so that it is valid in any working directory.
    ///
    /// # Errors
    ///
    /// If the working directory cannot be determined.
    pub fn with_absolute_path(self) -> std::io::Result<Self> {
        match self {
            Self::File(path) => Ok(Self::File(std::path::absolute(path)?)),
            published => Ok(published),
        }
    }
}

impl JsonSchema for WeightsSource {
    fn schema_name() -> Cow<'static, str> {
        "WeightsSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "path" })
    }
}

impl From<PathBuf> for WeightsSource {
    fn from(path: PathBuf) -> Self {
        // Compared as text: as paths, `imagenet/` and `imagenet` are equal.
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
    fn names_are_published_files_and_anything_else_is_a_path() {
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
    fn every_source_round_trips_through_text() {
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
            "a file is never written as the name of a published file"
        );
    }
}
