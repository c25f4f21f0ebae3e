//! Range checks of `[data]`.

use super::{DataConfig, DatasetConfig, LoadingConfig, SyntheticConfig, TransformConfig};
use crate::setting::{
    Checked, SettingError, at_least, at_most, even, finite, not_negative, positive, share,
};

/// Beyond this side, a single image takes gigabytes in a backbone.
const MAXIMUM_IMAGE_SIZE: usize = 2048;
/// Beyond this factor of brightness, contrast or saturation, an image is no longer recognisable.
const MAXIMUM_JITTER: f64 = 10.0;
/// The largest ratio of width to height of a crop.
const MAXIMUM_RATIO: f64 = 10.0;
/// The largest standard deviation of a blur, in pixels. Larger ones make an image unrecognisable and
/// are slow.
const MAXIMUM_SIGMA: f64 = 50.0;

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
            not_negative(key, jitter)?;
            check_maximum(key, jitter, jitter, maximum)?;
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
            Self::Folder(keys) => class_share(keys.train_share)?,
            Self::Manifest(keys) => class_share(keys.train_share)?,
            Self::FashionMnist(_)
            | Self::Cars196(_)
            | Self::Cub200(_)
            | Self::Sop(_)
            | Self::InShop(_) => {}
        }
        if self.root().is_none_or(|root| !root.as_os_str().is_empty()) {
            return Ok(());
        }
        let reason = match self {
            Self::Manifest(_) => "give the CSV file, for example --set data.root=images.csv",
            _ => "give the folder with the images, for example --set data.root=photos",
        };
        Err(SettingError::value("data.root", "", reason))
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

fn class_share(share: f64) -> Checked {
    positive("data.train_share", share)?;
    if share < 1.0 {
        return Ok(());
    }
    let reason = "the test split needs classes too; give less than 1";
    Err(SettingError::value("data.train_share", share, reason))
}

/// Checks two numbers above 0, the second at least the first and at most `maximum`.
fn range(key: &str, [low, high]: [f64; 2], maximum: f64) -> Checked {
    let value = || toml::Value::from(vec![low, high]);
    for number in [low, high] {
        if !(number as f32).is_finite() || number as f32 <= 0.0 {
            return Err(SettingError::value(
                key,
                value(),
                "give two numbers above 0",
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
