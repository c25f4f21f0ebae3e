//! The typed configuration: a TOML file with one section per subject, which may extend others.
//!
//! Overrides of the form `section.key=value` come after the file. Every value is checked before any
//! work starts. Each module defines and checks its section, except `[optimizer]`, `[training]` and
//! `[evaluation]`, which this module defines. It also combines the sections, merges files, suggests known
//! keys for unknown ones, and checks what spans sections.

mod check;
mod checkpoint_interval;
mod error;
mod keys;
mod known_keys;
mod layers;
mod overrides;
mod paths;
#[cfg(test)]
mod recipe_tests;
pub mod reference;
mod renamed;
mod saved;
mod sections;
mod wrong_value;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::HoldOut;
use crate::data::config::{BatchConfig, DataConfig};
use crate::loss::LossConfig;
use crate::model::config::{ModelConfig, WeightsSource};
use crate::negatives::{NegativesConfig, Space};

pub use checkpoint_interval::CheckpointInterval;
pub use error::ConfigError;
pub use keys::check_key;
use layers::ConfigLayers;
pub(crate) use paths::expanded as expanded_path;
use renamed::ConfigOrigin;
pub use sections::{EvaluationConfig, OptimizerConfig, Protocol, TrainingConfig};

/// A configuration, one field per TOML section. An absent key has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The network.
    pub model: ModelConfig,
    /// The images.
    pub data: DataConfig,
    /// The batches.
    pub batch: BatchConfig,
    /// The loss.
    pub loss: LossConfig,
    /// How negatives are generated.
    pub negatives: NegativesConfig,
    /// Adam and its learning rate.
    pub optimizer: OptimizerConfig,
    /// Epochs, seed and validation.
    pub training: TrainingConfig,
    /// Retrieval metrics.
    pub evaluation: EvaluationConfig,
}

/// The top-level key of a file that names the files to build on.
const EXTENDS: &str = "extends";

/// The configuration of `train` without `--config`.
pub const QUICKSTART: &str = include_str!("../../configs/quickstart.toml");

impl Config {
    /// Reads a configuration file and its bases, applies `overrides` (`section.key=value`) in order,
    /// and checks the result.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not TOML, `extends` does not lead to files, a file or an override
    /// has an unknown key or a value of the wrong type, or [`Config::check`] fails. Errors name the key,
    /// the file that sets it, and what to do.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let mut layers = ConfigLayers::read(path)?;
        for text in overrides {
            layers.clear_origin(renamed::present_key(overrides::overridden_key(text)));
        }
        let table = layers.table.clone();
        Self::resolve(table, &path.display().to_string(), overrides)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|error| layers.locate(error))
    }

    /// The quickstart's configuration with `overrides` applied.
    ///
    /// # Errors
    ///
    /// See [`Config::parse`].
    pub fn quickstart(overrides: &[String]) -> Result<Self, ConfigError> {
        Self::parse(QUICKSTART, "the quickstart configuration", overrides)
    }

    /// Parses the TOML `text` and applies `overrides`. Errors call the text `origin`. It cannot extend
    /// a file.
    ///
    /// # Errors
    ///
    /// If the text is not TOML or extends a file, or if it or an override has an unknown key or a value
    /// of the wrong type.
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::parse_from(text, origin, overrides, ConfigOrigin::User)
    }

    /// Parses the configuration that a run saved, and applies `overrides`. Former names of keys in the
    /// text are read without a warning. A text without `evaluation.protocol` is of a run that chose its best
    /// checkpoint on the test split, and is read as `published`.
    ///
    /// # Errors
    ///
    /// See [`Config::parse`].
    pub fn parse_saved(
        text: &str,
        origin: &str,
        overrides: &[String],
    ) -> Result<Self, ConfigError> {
        Self::parse_from(text, origin, overrides, ConfigOrigin::Run)
    }

    fn parse_from(
        text: &str,
        origin: &str,
        overrides: &[String],
        source: ConfigOrigin,
    ) -> Result<Self, ConfigError> {
        let mut table = layers::parse(text, origin, source)?;
        layers::refuse_extends(&table, origin)?;
        if source == ConfigOrigin::Run {
            saved::add_protocol(&mut table);
            saved::remove_empty_images(&mut table);
        }
        Self::resolve(table, origin, overrides)
    }

    fn resolve(
        table: toml::Table,
        origin: &str,
        overrides: &[String],
    ) -> Result<Self, ConfigError> {
        keys::check_sections(&table)?;
        let mut over = toml::Table::new();
        for text in overrides {
            let mut one = toml::Table::new();
            overrides::apply_override(&mut one, text)?;
            renamed::replace_former_names(&mut one, "--set", ConfigOrigin::User)?;
            overrides::extend(&mut over, one);
        }
        // Overrides are merged as a file that extends is: another choice drops the former one's keys.
        let mut merged = ConfigLayers::from_table(table);
        merged.merge(ConfigLayers::from_table(over));
        let mut table = merged.table;
        keys::name_negatives(&mut table);
        keys::check_each(&table)?;
        paths::expand_paths(&mut table)?;
        let normalize_is_given = known_keys::lookup(&table, "model.normalize").is_some();
        let mut config = Self::deserialize(table).map_err(|error| ConfigError::Syntax {
            origin: origin.to_string(),
            message: error.message().to_string(),
        })?;
        if !normalize_is_given {
            config.model.normalize = config.loss.kind.space() == Space::Sphere;
        }
        config.model.fill_defaults();
        Ok(config)
    }

    /// Makes the paths of the data and of a weights file absolute, so that a run can be evaluated and
    /// resumed from any working directory.
    ///
    /// # Errors
    ///
    /// If the working directory does not exist.
    pub fn with_absolute_root(mut self) -> std::io::Result<Self> {
        let source = self.data.source.paths_mut().into_iter();
        for path in source.chain(&mut self.data.loading.cache_dir) {
            *path = std::path::absolute(&path)?;
        }
        let weights = self.model.weights.map(WeightsSource::with_absolute_path);
        self.model.weights = weights.transpose()?;
        Ok(self)
    }

    /// How classes are held out for validation. `None` if all training classes train
    /// (`evaluation.protocol = "published"`).
    pub fn hold_out(&self) -> Option<HoldOut> {
        (self.evaluation.protocol == Protocol::Validated).then_some(HoldOut {
            batch_classes: self.batch.classes,
        })
    }

    /// The configuration as TOML, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration holds only values that TOML can hold")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::{DatasetConfig, FolderConfig, HoldOutConfig};
    use crate::model::config::{Descriptor, Pooling};

    fn parsed(text: &str, overrides: &[&str]) -> Result<Config, ConfigError> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::parse(text, "test.toml", &overrides)
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parsed("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn a_configuration_survives_writing_and_reading() {
        let mut config = Config::default();
        config.model.weights = Some("weights.pth".into());
        config.model.pooling = Pooling(vec![Descriptor::Max, Descriptor::Gem]);
        config.model.fill_gem_defaults();
        config.training.early_stopping = Some(5);
        config.data.source = DatasetConfig::Folder(FolderConfig {
            root: "photos".into(),
            ..Default::default()
        });
        config.data.hold_out = HoldOutConfig {
            validation_share: None,
            split_seed: Some(3),
            folds: Some(4),
            fold: Some(2),
        };
        config.evaluation.protocol = Protocol::Published;
        config.data.transform.crop_scale = Some([0.16, 1.0]);
        config.data.loading.cache_dir = Some("cache".into());
        assert_eq!(parsed(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn paths_of_data_and_weights_become_absolute_and_imagenet_stays() {
        let absolute = |weights: &str| {
            let weights = format!("model.weights={weights}");
            let folder = ["data.dataset=folder", "data.root=photos", &weights];
            let config = parsed("", &folder).unwrap();
            config.with_absolute_root().unwrap()
        };
        let here = std::env::current_dir().unwrap();
        let file = absolute("w.pth");
        let path = here.join("w.pth");
        assert_eq!(file.model.weights, Some(WeightsSource::File(path)));
        assert_eq!(
            absolute("imagenet").model.weights,
            Some(WeightsSource::ImageNet)
        );
        let DatasetConfig::Folder(folder) = file.data.source else {
            panic!("a folder was asked for");
        };
        assert_eq!(folder.root, here.join("photos"));
    }

    #[test]
    fn overrides_come_after_the_file_and_in_order() {
        let config = parsed(
            "[training]\nepochs = 7\n",
            &[
                "training.epochs=8",
                "training.epochs=9",
                "data.dataset=folder",
                "data.root=a b",
            ],
        )
        .unwrap();
        assert_eq!(config.training.epochs, 9);
        assert_eq!(
            config.data.source,
            DatasetConfig::Folder(FolderConfig {
                root: "a b".into(),
                ..Default::default()
            })
        );
    }
}
