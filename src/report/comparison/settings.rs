//! The keys that the configurations of runs set to different values.

use std::collections::BTreeMap;

use maud::html;

use crate::report::page::Section;
use crate::report::text::name;

/// The section of the keys that differ; `None` if there are none. Configurations are TOML, each with the name of its
/// run.
pub(super) fn settings(configurations: &[(&str, String)]) -> Option<Section> {
    let flat: Vec<BTreeMap<String, String>> = configurations
        .iter()
        .map(|(_, toml)| flatten(toml))
        .collect();
    let mut keys: Vec<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| {
        flat.iter()
            .any(|values| values.get(*key) != flat[0].get(*key))
    });
    (!keys.is_empty()).then(|| Section {
        id: "settings",
        heading: "Settings that differ".into(),
        body: html! {
            div.scroll role="region" aria-label="Settings that differ" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "Key" }
                        @for (run, _) in configurations { th scope="col" { (run) } }
                    } }
                    tbody { @for key in &keys { tr {
                        th scope="row" { code { (name(key)) } }
                        @for values in &flat {
                            td { @match values.get(*key) {
                                Some(value) => code { (name(value)) },
                                None => span.quiet { "absent" },
                            } }
                        }
                    } } }
                }
            }
        },
    })
}

/// The values of a configuration by dotted key.
fn flatten(toml: &str) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let table: toml::Table = toml::from_str(toml).unwrap_or_default();
    for (section, keys) in table {
        match keys {
            toml::Value::Table(keys) => {
                for (key, value) in keys {
                    flat.insert(format!("{section}.{key}"), value.to_string());
                }
            }
            value => {
                flat.insert(section, value.to_string());
            }
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_differ_are_listed() {
        let a = "[loss]\nname = \"triplet\"\nmargin = 0.2\n[training]\nseed = 1\n".to_string();
        let b = "[loss]\nname = \"n-pair\"\n[training]\nseed = 1\n".to_string();
        let html = settings(&[("a", a.clone()), ("b", b)])
            .unwrap()
            .body
            .into_string();
        assert!(
            html.contains("loss.name") && html.contains("loss.margin") && html.contains("absent")
        );
        assert!(!html.contains("training.seed"));
        assert!(settings(&[("a", a.clone()), ("b", a)]).is_none());
    }
}
