//! Range checks of `[data]`.

use super::transform::{MAXIMUM_IMAGE_SIZE, MAXIMUM_JITTER, MAXIMUM_RATIO, MAXIMUM_SIGMA};
use super::{
    DataConfig, DatasetConfig, EmbeddingsConfig, FolderConfig, LoadingConfig, ManifestConfig,
    SingleImageClasses, SyntheticConfig, TransformConfig,
};
use crate::setting::{
    Checked, SettingError, at_least, at_most, even, finite, positive, proper_share, share, up_to,
};

impl DataConfig {
    /// Checks every value, alone and against the others.
    ///
    /// # Errors
    /// If a value is out of range or contradicts another. The error names the first.
    pub fn check(&self) -> Checked {
        self.transform.check()?;
        self.loading.check(&self.source)?;
        self.hold_out.check()?;
        self.source.check()
    }
}

impl TransformConfig {
    /// Checks every value, alone and against the others.
    ///
    /// # Errors
    /// If a value is out of range or contradicts another. The error names the first.
    pub fn check(&self) -> Checked {
        at_least("data.image_size", self.image_size, 1)?;
        at_most("data.image_size", self.image_size, MAXIMUM_IMAGE_SIZE)?;
        at_most("data.resize", self.resize, 2 * MAXIMUM_IMAGE_SIZE)?;
        if self.resize < self.image_size {
            let reason = format!(
                "must be at least data.image_size = {0}, since crops are cut from it; give {0} or \
                 more (published: 255 for 227)",
                self.image_size
            );
            return Err(SettingError::value(
                "data.resize",
                self.resize as i64,
                reason,
            ));
        }
        for &std in &self.std {
            positive("data.std", f64::from(std))?;
        }
        for &mean in &self.mean {
            finite("data.mean", f64::from(mean))?;
        }
        share("data.crop_probability", self.crop_probability)?;
        if let Some(scale) = self.crop_scale {
            range("data.crop_scale", scale, 1.0)?;
        }
        range("data.crop_ratio", self.crop_ratio, MAXIMUM_RATIO)?;
        share("data.flip_probability", self.flip_probability)?;
        self.check_augmentation()
    }

    fn check_augmentation(&self) -> Checked {
        for (key, jitter, maximum) in [
            ("data.brightness", self.brightness, MAXIMUM_JITTER),
            ("data.contrast", self.contrast, MAXIMUM_JITTER),
            ("data.saturation", self.saturation, MAXIMUM_JITTER),
            ("data.hue", self.hue, 0.5),
        ] {
            up_to(key, jitter, maximum)?;
        }
        share("data.grey_probability", self.grey_probability)?;
        share("data.blur_probability", self.blur_probability)?;
        range("data.blur_sigma", self.blur_sigma, MAXIMUM_SIGMA)?;
        share("data.erase_probability", self.erase_probability)?;
        range("data.erase_scale", self.erase_scale, 1.0)
    }
}

impl LoadingConfig {
    /// Checks every value, also against `source`.
    pub(super) fn check(&self, source: &DatasetConfig) -> Checked {
        at_least("data.prefetch", self.prefetch, 1)?;
        at_most("data.prefetch", self.prefetch, 1024)?;
        at_most("data.workers", self.workers, 1024)?;
        if self.cache && !source.has_image_files() {
            let reason = format!(
                "the images of data.dataset = \"{}\" are already in memory; remove this key",
                source.name()
            );
            return Err(SettingError::value("data.cache", true, reason));
        }
        Ok(())
    }
}

impl DatasetConfig {
    /// Checks the keys of the dataset. Its files are checked when they are opened.
    pub(super) fn check(&self) -> Checked {
        match self {
            Self::Synthetic(keys) => keys.check()?,
            Self::Folder(FolderConfig { train_share, .. })
            | Self::Manifest(ManifestConfig { train_share, .. }) => {
                proper_share("data.train_share", *train_share)?;
            }
            Self::Embeddings(keys) => keys.check()?,
            Self::FashionMnist(keys) => {
                for (key, classes) in [
                    ("data.train_classes", &keys.train_classes),
                    ("data.test_classes", &keys.test_classes),
                ] {
                    if classes.iter().any(|&class| class > 9) {
                        let value: Vec<i64> = classes.iter().copied().map(i64::from).collect();
                        return Err(SettingError::value(key, value, "give classes from 0 to 9"));
                    }
                }
            }
            Self::Cars196(_) | Self::Cub200(_) | Self::Sop(_) | Self::InShop(_) => {}
        }
        if self.root().is_none_or(|root| !root.as_os_str().is_empty()) {
            return Ok(());
        }
        let reason = match self {
            Self::Manifest(_) => "give the CSV file, for example --set data.root=images.csv",
            Self::Embeddings(_) => {
                "give the file with the features, for example --set data.root=features.npy"
            }
            _ => "give the folder with the images, for example --set data.root=photos",
        };
        Err(SettingError::value("data.root", "", reason))
    }
}

impl EmbeddingsConfig {
    /// Checks every value.
    fn check(&self) -> Checked {
        proper_share("data.train_share", self.train_share)?;
        if self.single_image_classes == SingleImageClasses::Repeat {
            let reason = "a row is not augmented, so it would be its own positive at distance 0; use drop or gallery";
            return Err(SettingError::value(
                "data.single_image_classes",
                "repeat",
                reason,
            ));
        }
        Ok(())
    }
}

impl SyntheticConfig {
    /// Checks every value.
    pub(in crate::data) fn check(&self) -> Checked {
        at_least("data.classes", self.classes, 4)?;
        even("data.classes", self.classes)?;
        at_most("data.classes", self.classes, 100_000)?;
        at_least("data.images_per_class", self.images_per_class, 2)?;
        at_most("data.images_per_class", self.images_per_class, 10_000)
    }
}

/// Checks two numbers above 0, the second at least the first and at most `maximum`.
fn range(key: &str, [low, high]: [f64; 2], maximum: f64) -> Checked {
    let value = || toml::Value::from(vec![low, high]);
    for number in [low, high] {
        if !(number as f32).is_finite() || number as f32 <= 0.0 {
            return Err(SettingError::value(
                key,
                value(),
                format!("give two numbers above 0 and up to {maximum}"),
            ));
        }
    }
    if low > high {
        return Err(SettingError::value(
            key,
            value(),
            "give two increasing numbers",
        ));
    }
    check_maximum(key, value(), high, maximum)
}

fn check_maximum(key: &str, value: impl Into<toml::Value>, number: f64, maximum: f64) -> Checked {
    if number <= maximum {
        return Ok(());
    }
    let reason = format!("give {maximum} or less");
    Err(SettingError::value(key, value, reason))
}
