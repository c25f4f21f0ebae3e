//! Sweep files: TOML with a base configuration, axes, exclusions and a comparison.

mod flat;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::SweepError;
use super::axis::{Axis, AxisValue, Selection, equal};
use super::measure::{Measure, MeasuredSplit};
use crate::bounded_read::{MIB, read_at_most};
use crate::config::{check_key, expanded_path};
use crate::setting::shown;
use flat::{flatten, key_positions};

/// The keys of the file.
const KEYS: [&str; 6] = ["base", "output", "set", "axes", "exclude", "compare"];
/// The keys of `[compare]`.
const COMPARE_KEYS: [&str; 4] = ["baseline", "measure", "split", "average_over"];
/// The key of the name of a value that sets several keys.
const LABEL: &str = "label";
/// The axis that is averaged if the file names none.
const SEED: &str = "training.seed";
/// A known key with a similarity (Jaro-Winkler) above this is suggested for an unknown one.
const SIMILAR: f64 = 0.7;
/// The folder of sweeps without `output`.
const SWEEPS: &str = "artifacts/sweeps";

/// A sweep file.
#[derive(Debug, Clone)]
pub struct SweepFile {
    /// The file.
    pub path: PathBuf,
    /// The configuration that all runs begin with; `None` for the quickstart.
    pub base: Option<PathBuf>,
    /// The folder of the runs.
    pub output: PathBuf,
    /// Configuration keys of all runs.
    pub set: Vec<(String, Value)>,
    /// The axes, in the order of the file.
    pub axes: Vec<Axis>,
    /// Combinations that are left out.
    pub(super) exclude: Vec<Selection>,
    /// How results are compared.
    pub(super) compare: Compare,
}

/// The section `[compare]`.
#[derive(Debug, Clone)]
pub(super) struct Compare {
    /// The values of the baseline, one for each axis it names; `None` for no differences.
    pub(super) baseline: Option<Selection>,
    pub(super) measure: Measure,
    pub(super) split: MeasuredSplit,
    /// The axes that results are averaged over, by index.
    pub(super) average_over: Vec<usize>,
}

impl SweepFile {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// If it cannot be read or is not TOML, or a key is unknown or has an invalid value. Values of configuration
    /// keys are not checked.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let syntax = |message: String| SweepError::Syntax {
            path: path.to_path_buf(),
            message,
        };
        let bytes = read_at_most(path, MIB).map_err(|source| match source.kind() {
            ErrorKind::FileTooLarge => syntax(source.to_string()),
            _ => SweepError::Unreadable {
                path: path.to_path_buf(),
                source,
            },
        })?;
        let text = String::from_utf8(bytes).map_err(|_| syntax("it is not UTF-8".into()))?;
        Self::parse(path, &text)
    }

    /// Parses the text of the sweep file `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, SweepError> {
        let reader = Reader { path };
        let table: Result<Table, _> = toml::from_str(text);
        let table = table.map_err(|error| SweepError::Syntax {
            path: path.to_path_buf(),
            message: error.to_string().trim_end().to_string(),
        })?;
        reader.check_keys("", &table, &KEYS)?;
        let positions = key_positions(text);
        let section = |name: &str| reader.section(&table, name);
        let mut set = flatten(&section("set")?);
        set.sort_by_key(|(key, _)| positions.get(&format!("set.{key}")).copied());
        for (key, _) in &set {
            reader.check_config_key(key)?;
        }
        let mut axes = reader.axes(&section("axes")?)?;
        axes.sort_by_key(|axis| positions.get(&format!("axes.{}", axis.name)).copied());
        reader.check_overlaps(&set, &axes)?;
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            base: reader.base(&table)?,
            output: match reader.path_at(&table, "output")? {
                Some(output) => output,
                None => Path::new(SWEEPS).join(name),
            },
            exclude: reader.exclusions(&table, &axes)?,
            compare: reader.compare(&section("compare")?, &axes)?,
            path: path.to_path_buf(),
            set,
            axes,
        })
    }

    /// The axes that results are averaged over.
    pub fn averaged(&self) -> impl Iterator<Item = &Axis> {
        self.compare.average_over.iter().map(|at| &self.axes[*at])
    }
}

/// Reads the parts of a sweep file; its errors name the file.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn value_error(&self, key: impl ToString, reason: impl ToString) -> SweepError {
        SweepError::Value {
            path: self.path.to_path_buf(),
            key: key.to_string(),
            reason: reason.to_string(),
        }
    }

    /// Checks that `table`, the section `section`, has known keys only.
    fn check_keys(&self, section: &str, table: &Table, known: &[&str]) -> Result<(), SweepError> {
        let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let full = |key: &str| match section {
            "" => key.to_string(),
            section => format!("{section}.{key}"),
        };
        let nearest = nearest(key, known.iter().copied());
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{}`?", full(nearest)),
            // A configuration key at the top is a common mistake.
            None if section.is_empty() && table[key].is_table() => format!(
                "keys of the configuration belong to [set] or [axes], such as [set.{key}]; the keys of a sweep file \
                 are {}",
                known.join(", ")
            ),
            None => format!("the keys are {}", known.join(", ")),
        };
        Err(SweepError::UnknownKey {
            path: self.path.to_path_buf(),
            key: full(key),
            hint,
        })
    }

    fn check_config_key(&self, key: &str) -> Result<(), SweepError> {
        check_key(key).map_err(|source| SweepError::Config {
            path: self.path.to_path_buf(),
            source,
        })
    }

    /// A section, which is empty if it is absent.
    fn section(&self, table: &Table, name: &str) -> Result<Table, SweepError> {
        match table.get(name) {
            None => Ok(Table::new()),
            Some(Value::Table(section)) => Ok(section.clone()),
            Some(_) => Err(self.value_error(
                name,
                format!("is a section: write [{name}] and its keys below it"),
            )),
        }
    }

    /// The path that a key names.
    fn path_at(&self, table: &Table, key: &str) -> Result<Option<PathBuf>, SweepError> {
        match table.get(key) {
            None => Ok(None),
            Some(Value::String(path)) if !path.trim().is_empty() => {
                let expanded = expanded_path(path, std::env::home_dir().as_deref());
                let expanded = expanded.map_err(|reason| self.value_error(key, reason))?;
                Ok(Some(expanded.unwrap_or_else(|| path.clone()).into()))
            }
            Some(_) => Err(self.value_error(key, "give a path in quotes")),
        }
    }

    /// The base, whose path is relative to the file.
    fn base(&self, table: &Table) -> Result<Option<PathBuf>, SweepError> {
        let Some(base) = self.path_at(table, "base")? else {
            return Ok(None);
        };
        let base = self.path.parent().unwrap_or(Path::new("")).join(base);
        match base.is_file() {
            true => Ok(Some(base)),
            false => {
                let reason = format!(
                    "{} does not exist; give the path of a configuration, relative to the sweep file",
                    base.display()
                );
                Err(self.value_error("base", reason))
            }
        }
    }

    fn axes(&self, section: &Table) -> Result<Vec<Axis>, SweepError> {
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
            if values[..at].iter().any(|one| equal(&one.value, &value.value)) {
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

    /// Refuses keys that [set] and an axis, or two axes, set.
    fn check_overlaps(&self, set: &[(String, Value)], axes: &[Axis]) -> Result<(), SweepError> {
        let mut owners: Vec<(&str, String)> = Vec::new();
        let set = set.iter().map(|(key, _)| (key.as_str(), "[set]".to_string()));
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

    fn exclusions(&self, table: &Table, axes: &[Axis]) -> Result<Vec<Selection>, SweepError> {
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

    fn compare(&self, section: &Table, axes: &[Axis]) -> Result<Compare, SweepError> {
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
            && let Some((axis, _)) = selected.iter().find(|(axis, _)| average_over.contains(axis))
        {
            let name = &axes[*axis].name;
            let reason = format!("results are averaged over `{name}`, which cannot be in a baseline");
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
                return Err(self.value_error(KEY, "give a list of axes, such as [\"training.seed\"]"));
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

/// The most similar of `known`, if one is similar.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, last))
    };
    known
        .map(|known| (similarity(known), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

