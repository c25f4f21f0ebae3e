//! `[[exclude]]` and `[compare]`: combinations of values of the axes.

use toml::{Table, Value};

use super::Compare;
use super::flat::flatten;
use super::reader::{Reader, nearest};
use crate::setting::shown;
use crate::sweep::SweepError;
use crate::sweep::axis::{Axis, Selection};
use crate::sweep::measured_split::MeasuredSplit;

/// The keys of `[compare]`.
const COMPARE_KEYS: [&str; 4] = ["baseline", "measure", "split", "average_over"];
/// The axis that is averaged if the file names none.
const SEED: &str = "training.seed";

impl Reader<'_> {
    pub(super) fn exclusions(
        &self,
        table: &Table,
        axes: &[Axis],
    ) -> Result<Vec<Selection>, SweepError> {
        let entries = match table.get("exclude") {
            None => return Ok(Vec::new()),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                let reason = "write [[exclude]] and keys below it for each combination";
                return Err(self.value_error("exclude", reason));
            }
        };
        let selection = |entry: &Value| match entry {
            Value::Table(keys) => self.selection("exclude", keys, axes, true),
            _ => Err(self.value_error("exclude", "give tables of axes and values")),
        };
        entries.iter().map(selection).collect()
    }

    /// Reads axes and their values. With `several`, a list selects each of its values.
    fn selection(
        &self,
        key: &str,
        table: &Table,
        axes: &[Axis],
        several: bool,
    ) -> Result<Selection, SweepError> {
        let mut selected = Vec::new();
        for (name, value) in flatten(table) {
            let full = format!("{key}.{name}");
            let axis = self.axis_index(&full, &name, axes)?;
            let position = |value: &Value| {
                axes[axis].position(value).ok_or_else(|| {
                    let reason = format!(
                        "{} is not a value of the axis; its values are {}",
                        shown(value),
                        axes[axis].described()
                    );
                    self.value_error(&full, reason)
                })
            };
            let values = match &value {
                Value::Array(list) if several && axes[axis].position(&value).is_none() => {
                    list.iter().map(position).collect::<Result<_, _>>()?
                }
                value => vec![position(value)?],
            };
            selected.push((axis, values));
        }
        match selected.is_empty() {
            true => Err(self.value_error(key, "is empty; give axes and values, or remove it")),
            false => Ok(Selection(selected)),
        }
    }

    /// The index of the axis `name`, which the key `full` names.
    fn axis_index(&self, full: &str, name: &str, axes: &[Axis]) -> Result<usize, SweepError> {
        if let Some(axis) = axes.iter().position(|axis| axis.name == name) {
            return Ok(axis);
        }
        let names = || axes.iter().map(|axis| axis.name.as_str());
        let hint = match nearest(name, names()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the axes are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Err(self.value_error(full, format!("`{name}` is not an axis; {hint}")))
    }

    pub(super) fn compare(&self, section: &Table, axes: &[Axis]) -> Result<Compare, SweepError> {
        self.check_keys("compare", section, &COMPARE_KEYS)?;
        let text = |key: &str, default: &str| match section.get(key) {
            None => Ok(default.to_string()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.value_error(format!("compare.{key}"), "give a text in quotes")),
        };
        let invalid = |key: &str| {
            let key = format!("compare.{key}");
            move |reason: &'static str| self.value_error(key, reason)
        };
        let measure = text("measure", "recall@1")?.parse();
        let split = text("split", MeasuredSplit::default().as_str())?.parse();
        let average_over = self.average_over(section, axes)?;
        let baseline = match section.get("baseline") {
            None => None,
            Some(Value::Table(keys)) => {
                Some(self.selection("compare.baseline", keys, axes, false)?)
            }
            Some(_) => {
                let reason = "give axes and values, such as { \"negatives.name\" = \"none\" }";
                return Err(self.value_error("compare.baseline", reason));
            }
        };
        if let Some(Selection(selected)) = &baseline
            && let Some((axis, _)) = selected
                .iter()
                .find(|(axis, _)| average_over.contains(axis))
        {
            let name = &axes[*axis].name;
            let reason =
                format!("results are averaged over `{name}`, which cannot be in a baseline");
            return Err(self.value_error("compare.baseline", reason));
        }
        Ok(Compare {
            baseline,
            measure: measure.map_err(invalid("measure"))?,
            split: split.map_err(invalid("split"))?,
            average_over,
        })
    }

    fn average_over(&self, section: &Table, axes: &[Axis]) -> Result<Vec<usize>, SweepError> {
        const KEY: &str = "compare.average_over";
        let names = match section.get("average_over") {
            None => {
                let seed = axes.iter().position(|axis| axis.name == SEED);
                return Ok(seed.into_iter().collect());
            }
            Some(Value::Array(names)) => names,
            Some(_) => {
                return Err(
                    self.value_error(KEY, "give a list of axes, such as [\"training.seed\"]")
                );
            }
        };
        let mut indices = Vec::new();
        for name in names {
            let Value::String(name) = name else {
                return Err(self.value_error(KEY, "give the names of axes in quotes"));
            };
            let index = self.axis_index(KEY, name, axes)?;
            if indices.contains(&index) {
                return Err(self.value_error(KEY, format!("`{name}` is given twice; remove one")));
            }
            indices.push(index);
        }
        Ok(indices)
    }
}
