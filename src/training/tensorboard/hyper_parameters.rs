//! The hyper-parameters of a run, for TensorBoard's tab HPARAMS.

use std::collections::BTreeMap;

use prost::Message;
use toml::Value as Toml;

use super::messages::{
    HyperParameter, HyperParameterValue, HyperParametersData, PluginData, SessionStart, Summary,
    SummaryMetadata, Value,
};
use crate::config::Config;

/// The tag under which TensorBoard looks for the hyper-parameters of a run.
pub(super) const TAG: &str = "_hparams_/session_start_info";

/// Keys that are not hyper-parameters: where the images are, which may change, and this module's.
const OTHERS: [&str; 4] = [
    "data.root",
    "data.images",
    "data.cache_dir",
    "training.tensorboard",
];

/// Keys that every run has, also if they have their default. The tab would be unreadable with all others.
const ALWAYS: [&str; 11] = [
    "batch.classes",
    "batch.images_per_class",
    "data.dataset",
    "loss.name",
    "loss.margin",
    "model.backbone",
    "model.embedding_dim",
    "negatives.name",
    "optimizer.learning_rate",
    "training.epochs",
    "training.seed",
];

/// The keys of the configuration as hyper-parameters: those of [`ALWAYS`], and those without their default. TensorBoard lists every run that has them, with its scalars
/// as metrics.
pub(super) fn hyper_parameters(config: &Config) -> Summary {
    let data = HyperParametersData {
        session_start: Some(SessionStart {
            hyper_parameters: chosen(config),
        }),
    };
    let plugin = PluginData {
        name: "hparams".to_string(),
        content: data.encode_to_vec(),
    };
    Summary {
        values: vec![Value {
            tag: TAG.to_string(),
            metadata: Some(SummaryMetadata {
                plugin: Some(plugin),
                description: String::new(),
            }),
            data: None,
        }],
    }
}

/// The values of the keys that are shown.
fn chosen(config: &Config) -> BTreeMap<String, HyperParameter> {
    let default = flatten(&Config::default());
    let mut keys = flatten(config);
    keys.retain(|key, value| {
        let is_other = OTHERS.contains(&key.as_str());
        let is_default = default.get(key).is_some_and(|default| default == value);
        !is_other && (!is_default || ALWAYS.contains(&key.as_str()))
    });
    keys
}

/// The values by their dotted keys.
fn flatten(config: &Config) -> BTreeMap<String, HyperParameter> {
    let sections: toml::Table = config.to_toml().parse().expect("a configuration is TOML");
    let mut flat = BTreeMap::new();
    for (section, keys) in sections {
        for (key, value) in keys.as_table().into_iter().flatten() {
            let value = match value {
                Toml::Integer(number) => HyperParameterValue::Number(*number as f64),
                Toml::Float(number) => HyperParameterValue::Number(*number),
                Toml::Boolean(switch) => HyperParameterValue::Switch(*switch),
                Toml::String(text) => HyperParameterValue::Text(text.clone()),
                other => HyperParameterValue::Text(other.to_string()),
            };
            flat.insert(
                format!("{section}.{key}"),
                HyperParameter { value: Some(value) },
            );
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dotted_and_values_keep_their_type() {
        let overrides = [
            "optimizer.decay_epochs=[3, 5]",
            "evaluation.mirror=true",
            "training.tensorboard=false",
        ];
        let config = Config::quickstart(&overrides.map(String::from)).unwrap();
        let shown = chosen(&config);
        let value = |key: &str| shown[key].value.clone().unwrap();
        assert_eq!(
            value("training.epochs"),
            HyperParameterValue::Number(config.training.epochs as f64)
        );
        assert_eq!(
            value("evaluation.mirror"),
            HyperParameterValue::Switch(true)
        );
        assert_eq!(
            value("data.dataset"),
            HyperParameterValue::Text("synthetic".into())
        );
        assert_eq!(
            value("optimizer.decay_epochs"),
            HyperParameterValue::Text("[3, 5]".into())
        );
        let default = Config::default();
        assert_eq!(config.optimizer.beta_1, default.optimizer.beta_1);
        for key in ["training.tensorboard", "optimizer.beta_1"] {
            assert!(!shown.contains_key(key), "{key}");
        }
        assert!(shown.contains_key("model.backbone"));
    }
}
