//! Configuration keys and values that were renamed. The former names keep working for one release.

use toml::{Table, Value};

use super::ConfigError;
use super::known_keys::lookup;

/// A key by its former and its present name.
const KEYS: [(&str, &str); 4] = [
    ("data.test_view", "data.eval_resize"),
    ("data.reduced_decoding", "data.jpeg_dct_scaling"),
    ("optimizer.backbone_factor", "optimizer.backbone_lr_scale"),
    ("training.freeze_epochs", "training.freeze_backbone_epochs"),
];

/// A value of a key, by the key's present name, and its new name.
const VALUES: [(&str, &str, &str); 2] = [
    ("data.eval_resize", "straight", "direct"),
    ("loss.triplets", "drawn", "random"),
];

/// The origin of a configuration: a former name warns only if a person wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConfigOrigin {
    /// A file or an override that a person wrote.
    User,
    /// The configuration that an earlier version saved with a run.
    Run,
}

/// The present name of a dotted key.
pub(super) fn present_key(key: &str) -> &str {
    let renamed = KEYS.iter().find(|(former, _)| *former == key);
    renamed.map_or(key, |(_, present)| present)
}

/// Replaces the former names in `table`, which was read from `origin`, and warns of each that a person
/// wrote.
///
/// # Errors
///
/// If a key is given by both of its names.
pub(super) fn replace_former_names(
    table: &mut Table,
    origin: &str,
    source: ConfigOrigin,
) -> Result<(), ConfigError> {
    for (former, present) in KEYS {
        let Some(value) = remove(table, former) else {
            continue;
        };
        if lookup(table, present).is_some() {
            return Err(ConfigError::BothNames {
                origin: origin.to_string(),
                former,
                present,
            });
        }
        warn(source, origin, former, present);
        insert(table, present, value);
    }
    for (key, former, present) in VALUES {
        if lookup(table, key).and_then(Value::as_str) == Some(former) {
            warn(
                source,
                origin,
                &assignment(key, former),
                &assignment(key, present),
            );
            insert(table, key, present.into());
        }
    }
    Ok(())
}

fn warn(source: ConfigOrigin, origin: &str, former: &str, present: &str) {
    match source {
        ConfigOrigin::User => tracing::warn!("{origin}: `{former}` is now `{present}`; rename it"),
        ConfigOrigin::Run => tracing::debug!("{origin}: `{former}` is read as `{present}`"),
    }
}

fn assignment(key: &str, value: &str) -> String {
    format!("{key} = \"{value}\"")
}

fn remove(table: &mut Table, path: &str) -> Option<Value> {
    let (section, key) = path.split_once('.')?;
    table.get_mut(section)?.as_table_mut()?.remove(key)
}

/// Sets a key of a section that exists.
fn insert(table: &mut Table, path: &str, value: Value) {
    let (section, key) = path.split_once('.').expect("a dotted key");
    if let Some(Value::Table(keys)) = table.get_mut(section) {
        keys.insert(key.to_string(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::known_keys::known_keys;
    use crate::data::config::EvalResize;
    use crate::loss::{LossKind, Triplets};

    #[test]
    fn former_names_are_read_as_the_present_ones() {
        let text = "[optimizer]\nbackbone_factor = 0.5\n[training]\nfreeze_epochs = 3\n[loss]\nname = \
                    \"triplet\"\ntriplets = \"drawn\"\n[data]\ntest_view = \"straight\"\n";
        let config = Config::parse(text, "old.toml", &["data.reduced_decoding=true".into()]);
        let config = config.unwrap();
        assert_eq!(config.data.transform.eval_resize, EvalResize::Direct);
        assert!(config.data.transform.jpeg_dct_scaling);
        let LossKind::Triplet(triplet) = config.loss.kind else {
            panic!("the loss is triplet");
        };
        assert_eq!(triplet.triplets, Triplets::Random);
        assert_eq!(config.optimizer.backbone_lr_scale, 0.5);
        assert_eq!(config.training.freeze_backbone_epochs, 3);
    }

    #[test]
    fn an_override_may_use_either_name() {
        for key in ["training.freeze_epochs", "training.freeze_backbone_epochs"] {
            let text = "[training]\nfreeze_epochs = 3\n";
            let config = Config::parse(text, "old.toml", &[format!("{key}=4")]).unwrap();
            assert_eq!(config.training.freeze_backbone_epochs, 4);
        }
    }

    #[test]
    fn both_names_at_once_are_refused() {
        let text = "[training]\nfreeze_epochs = 3\nfreeze_backbone_epochs = 3\n";
        let message = Config::parse(text, "old.toml", &[])
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "old.toml sets `training.freeze_epochs` and `training.freeze_backbone_epochs`, two \
             names of one key; remove the first"
        );
    }

    #[test]
    fn former_names_are_unknown_keys_and_new_names_are_known() {
        let known = known_keys();
        for (former, present) in KEYS {
            assert!(!known.contains(former), "{former}");
            assert!(known.contains(present), "{present}");
        }
        for (key, ..) in VALUES {
            assert!(known.contains(key), "{key}");
        }
    }
}
