//! The keys of a configuration that may change when a run is resumed, and the changes themselves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use toml::Table;

use super::run_folder::ConfigChange;
use crate::config::{Config, ConfigError, OptimizerConfig, TrainingConfig};
use crate::data::config::{DatasetConfig, LoadingConfig};

/// The keys that may change when a run is resumed: the length of the training, the learning rate and the
/// precision of the remaining steps, and what changes neither batches nor gradients.
pub(super) const RESUMABLE: [&str; 20] = [
    "training.epochs",
    "training.early_stopping",
    "training.checkpoint_every",
    "training.keep_checkpoints",
    "training.gradient_checkpointing",
    "training.precision",
    "training.tensorboard",
    "optimizer.learning_rate",
    "optimizer.backbone_lr_scale",
    "optimizer.decay_epochs",
    "optimizer.decay_factor",
    "optimizer.weight_decay",
    "data.root",
    "data.labels",
    "data.workers",
    "data.prefetch",
    "data.cache",
    "data.cache_dir",
    "data.broken_images",
    "evaluation.batch_size",
];

/// The configuration with the defaults of [`RESUMABLE`] keys, as TOML. Equal texts make equal batches and
/// gradients, apart from those keys.
pub(super) fn pinned(config: &Config) -> String {
    let mut pinned = config.clone();
    let TrainingConfig {
        epochs,
        early_stopping,
        checkpoint_every,
        keep_checkpoints,
        gradient_checkpointing,
        precision,
        tensorboard,
        ..
    } = TrainingConfig::default();
    pinned.training = TrainingConfig {
        epochs,
        early_stopping,
        checkpoint_every,
        keep_checkpoints,
        gradient_checkpointing,
        precision,
        tensorboard,
        ..pinned.training
    };
    let OptimizerConfig {
        learning_rate,
        backbone_lr_scale,
        decay_epochs,
        decay_factor,
        weight_decay,
        ..
    } = OptimizerConfig::default();
    pinned.optimizer = OptimizerConfig {
        learning_rate,
        backbone_lr_scale,
        decay_epochs,
        decay_factor,
        weight_decay,
        ..pinned.optimizer
    };
    pinned.evaluation.batch_size = Config::default().evaluation.batch_size;
    pinned.data.loading = LoadingConfig::default();
    // An empty path is refused when it is read, unless it is the root.
    match &mut pinned.data.source {
        DatasetConfig::Manifest(keys) => keys.images = None,
        DatasetConfig::Embeddings(keys) => keys.labels = None,
        _ => {}
    }
    for path in pinned.data.source.paths_mut() {
        *path = PathBuf::new();
    }
    pinned.to_toml()
}

/// The keys whose values differ, in alphabetical order, as changes after `epoch` complete epochs.
pub(super) fn changes(before: &Config, after: &Config, epoch: usize) -> Vec<ConfigChange> {
    let [before, after] = [before, after].map(|config| table(&config.to_toml()));
    let keys: BTreeSet<String> = dotted_keys(&before).chain(dotted_keys(&after)).collect();
    let value = |table: &Table, key: &str| -> Value {
        let (section, key) = key.split_once('.').expect("a dotted key");
        let value = table.get(section).and_then(|section| section.get(key));
        serde_json::to_value(value).expect("TOML is plain data")
    };
    keys.into_iter()
        .map(|key| ConfigChange {
            epoch,
            before: value(&before, &key),
            after: value(&after, &key),
            key,
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// The first key in which two pinned configurations differ, with both values; `None` if they are equal.
///
/// # Errors
/// If `found` has keys of a later version.
pub(super) fn first_difference(
    found: &str,
    expected: &str,
) -> Result<Option<(String, Value, Value)>, ConfigError> {
    let [found, expected] = [found, expected].map(|text| Config::parse_saved(text, "header", &[]));
    let change = changes(&found?, &expected?, 0).into_iter().next();
    Ok(change.map(|change| (change.key, change.before, change.after)))
}

fn table(text: &str) -> Table {
    text.parse().expect("a configuration is TOML")
}

fn dotted_keys(table: &Table) -> impl Iterator<Item = String> {
    table.iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().into_iter().flat_map(Table::keys);
        keys.map(move |key| format!("{section}.{key}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(overrides: &[&str]) -> Config {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let folder = ["data.dataset=folder".to_string(), "data.root=a".to_string()];
        Config::parse("", "test", &[&folder[..], &overrides].concat()).unwrap()
    }

    #[test]
    fn pinned_configuration_of_data_with_a_second_path_is_read() {
        for second in [
            ["data.dataset=manifest", "data.images=b"],
            ["data.dataset=embeddings", "data.labels=b"],
        ] {
            let pinned = pinned(&config(&second));
            assert_eq!(first_difference(&pinned, &pinned).unwrap(), None);
        }
    }

    /// A value other than the default of each resumable key.
    const OTHERS: [&str; 20] = [
        "training.epochs=7",
        "training.early_stopping=3",
        "training.checkpoint_every=9",
        "training.keep_checkpoints=5",
        "training.gradient_checkpointing=true",
        "training.precision=bf16",
        "training.tensorboard=false",
        "optimizer.learning_rate=0.5",
        "optimizer.backbone_lr_scale=0.5",
        "optimizer.decay_epochs=[2]",
        "optimizer.decay_factor=0.25",
        "optimizer.weight_decay=0.25",
        "data.root=b",
        "data.labels=b",
        "data.workers=3",
        "data.prefetch=9",
        "data.cache=true",
        "data.cache_dir=cache",
        "data.broken_images=skip",
        "evaluation.batch_size=3",
    ];

    #[test]
    fn resumable_keys_are_not_pinned() {
        let pinned_config = pinned(&config(&[]));
        for (set, key) in OTHERS.iter().zip(RESUMABLE) {
            assert!(set.starts_with(&format!("{key}=")), "{set}");
            let dataset: &[&str] = match key {
                "data.labels" => &["data.dataset=embeddings", "model.backbone=none"],
                _ => &[],
            };
            let before = config(dataset);
            let other = config(&[dataset, &[set]].concat());
            let pinned_config = match dataset {
                [] => pinned_config.clone(),
                _ => pinned(&before),
            };
            assert_eq!(pinned(&other), pinned_config, "{set}");
            let changes = changes(&before, &other, 4);
            assert_eq!((changes.len(), changes[0].key.as_str()), (1, key));
        }
    }

    #[test]
    fn other_keys_are_pinned_and_named() {
        for set in [
            "model.embedding_dim=32",
            "training.seed=9",
            "loss.margin=0.9",
            "batch.classes=3",
            "optimizer.beta_1=0.5",
            "data.image_size=64",
        ] {
            let (found, expected) = (pinned(&config(&[set])), pinned(&config(&[])));
            let (key, ..) = first_difference(&found, &expected).unwrap().unwrap();
            assert!(set.starts_with(&format!("{key}=")), "{set}: {key}");
        }
        let same = pinned(&config(&[]));
        assert_eq!(first_difference(&same, &same).unwrap(), None);
    }

    #[test]
    fn changes_have_both_values() {
        let changes = changes(&config(&[]), &config(&["training.early_stopping=3"]), 2);
        assert_eq!(changes[0].before, Value::Null);
        assert_eq!(changes[0].after, Value::from(3));
        assert_eq!(changes[0].epoch, 2);
    }
}
