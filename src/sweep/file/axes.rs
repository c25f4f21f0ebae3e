//! `[axes]`: lists of values, and lists of tables whose values set several keys.

use toml::{Table, Value};

use super::flat::flatten;
use super::reader::Reader;
use crate::config::check_key;
use crate::setting::shown;
use crate::sweep::SweepError;
use crate::sweep::axis::{Axis, AxisValue, equal};

/// The key of the name of a value that sets several keys.
const LABEL: &str = "label";

impl Reader<'_> {
    pub(super) fn axes(&self, section: &Table) -> Result<Vec<Axis>, SweepError> {
        if section.is_empty() {
            return Err(self.value_error(
                "axes",
                "is missing; give at least one axis, such as \"training.seed\" = [1, 2, 3] below [axes]",
            ));
        }
        let lists = flatten(section).into_iter();
        lists.map(|(name, list)| self.axis(name, list)).collect()
    }

    fn axis(&self, name: String, list: Value) -> Result<Axis, SweepError> {
        let error = |reason: String| self.value_error(format!("axes.{name}"), reason);
        let Value::Array(items) = list else {
            return Err(error(format!("give a list of values, such as [{list}]")));
        };
        if items.is_empty() {
            return Err(error("is an empty list; give values, or remove it".into()));
        }
        let tables = items.iter().filter(|item| item.is_table()).count();
        let values: Vec<AxisValue> = if tables == items.len() {
            let item = |item: Value| self.item(&name, item);
            items.into_iter().map(item).collect::<Result<_, _>>()?
        } else if tables > 0 {
            return Err(error("give values only, or tables of keys only".into()));
        } else {
            self.check_config_key(&name)?;
            let value = |value: Value| AxisValue {
                settings: vec![(name.clone(), value.clone())],
                value,
            };
            items.into_iter().map(value).collect()
        };
        for (at, value) in values.iter().enumerate() {
            if values[..at]
                .iter()
                .any(|one| equal(&one.value, &value.value))
            {
                let what = shown(&value.value);
                return Err(error(format!("{what} is given twice; remove one")));
            }
        }
        Ok(Axis { name, values })
    }

    /// A value that sets several keys.
    fn item(&self, axis: &str, item: Value) -> Result<AxisValue, SweepError> {
        let error = |reason: &str| self.value_error(format!("axes.{axis}"), reason);
        if axis.contains('.') || check_key(axis).is_ok() {
            return Err(error(
                "is a configuration key; an axis whose values set several keys has a name without a point",
            ));
        }
        let Value::Table(mut keys) = item else {
            unreachable!("the caller checks that it is a table");
        };
        let label = match keys.remove(LABEL) {
            Some(Value::String(label)) if !label.trim().is_empty() => label,
            Some(_) => return Err(error("`label` is a text, the name of a value in results")),
            None => return Err(error("give each value a `label`, its name in results")),
        };
        let mut settings = flatten(&keys);
        settings.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, _) in &settings {
            self.check_config_key(key)?;
        }
        Ok(AxisValue {
            value: Value::String(label),
            settings,
        })
    }

    /// Refuses keys that `[set]` and an axis, or two axes, set.
    pub(super) fn check_overlaps(
        &self,
        set: &[(String, Value)],
        axes: &[Axis],
    ) -> Result<(), SweepError> {
        let mut owners: Vec<(&str, String)> = Vec::new();
        let set = set
            .iter()
            .map(|(key, _)| (key.as_str(), "[set]".to_string()));
        owners.extend(set);
        for axis in axes {
            let settings = axis.values.iter().flat_map(|value| &value.settings);
            let mut keys: Vec<&str> = settings.map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                if let Some((_, owner)) = owners.iter().find(|(known, _)| *known == key) {
                    let reason = format!("`{key}` is also set by {owner}; remove one");
                    return Err(self.value_error(format!("axes.{}", axis.name), reason));
                }
                owners.push((key, format!("the axis `{}`", axis.name)));
            }
        }
        Ok(())
    }
}
