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

/// The keys of the configuration as hyper-parameters. TensorBoard lists every run that has them, with its scalars
/// as metrics.
pub(super) fn hyper_parameters(config: &Config) -> Summary {
    let data = HyperParametersData {
        session_start: Some(SessionStart {
            hyper_parameters: flatten(config),
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
        let config = Config::quickstart(&["optimizer.decay_epochs=[3, 5]".to_string()]).unwrap();
        let flat = flatten(&config);
        let value = |key: &str| flat[key].value.clone().unwrap();
        assert_eq!(
            value("training.epochs"),
            HyperParameterValue::Number(config.training.epochs as f64)
        );
        assert_eq!(
            value("evaluation.mirror"),
            HyperParameterValue::Switch(false)
        );
        assert_eq!(
            value("data.dataset"),
            HyperParameterValue::Text("synthetic".into())
        );
        assert_eq!(
            value("optimizer.decay_epochs"),
            HyperParameterValue::Text("[3, 5]".into())
        );
    }
}
