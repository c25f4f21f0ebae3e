//! The named tensors in a pickle.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::error::PthError;
use super::machine::Pickled;
use super::tensor::StridedTensor;
use super::values::{MAX_DEPTH, Value, ValueId, Values};
use crate::model::weights::unsupported::UnsupportedTensor;

/// The limit on the total length of names, in bytes. A pickle may contain the same dictionary many times,
/// and dictionaries of such dictionaries; the names of its tensors multiply with each level.
const MAX_NAMES: usize = 1 << 24;

/// What a pickle has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Tensor(Rc<StridedTensor>),
    Unsupported(UnsupportedTensor),
}

impl Pickled {
    /// Every tensor and object by its name: the keys of the dictionaries, lists and tuples around it, joined
    /// by dots.
    ///
    /// # Errors
    /// If the pickle is one object or tensor, or exceeds the limits on names.
    pub(super) fn named(&self) -> Result<BTreeMap<String, Named>, PthError> {
        match self.values.get(self.top) {
            Value::Unsupported(UnsupportedTensor::Object(class)) => {
                return Err(PthError::WholeModel(class.to_string()));
            }
            Value::Tensor(_) | Value::Unsupported(_) => return Err(PthError::SingleTensor),
            _ => {}
        }
        let mut collector = Collector {
            found: BTreeMap::new(),
            names: 0,
        };
        collector.collect(&self.values, self.top, "", 0)?;
        Ok(collector.found)
    }
}

impl Pickled {
    /// The keys of the dictionaries in the outermost one.
    pub(super) fn dictionary_keys(&self) -> BTreeSet<&str> {
        let entries = match self.values.get(self.top) {
            Value::Dictionary(entries) => &entries[..],
            _ => &[],
        };
        let key = |&(key, value): &(ValueId, ValueId)| match (
            self.values.get(key),
            self.values.get(value),
        ) {
            (Value::Text(key), Value::Dictionary(_)) => Some(&**key),
            _ => None,
        };
        entries.iter().filter_map(key).collect()
    }
}

struct Collector {
    found: BTreeMap<String, Named>,
    /// The total length of all names, including those of dictionaries.
    names: usize,
}

impl Collector {
    /// Adds what is in the value `id`, which has the name `name` and is inside `depth` others.
    fn collect(
        &mut self,
        values: &Values,
        id: ValueId,
        name: &str,
        depth: usize,
    ) -> Result<(), PthError> {
        let found = match values.get(id) {
            Value::Tensor(tensor) => Named::Tensor(Rc::clone(tensor)),
            Value::Unsupported(kind) => Named::Unsupported(kind.clone()),
            Value::Dictionary(_) | Value::List(_) | Value::Tuple(_) if depth == MAX_DEPTH => {
                return Err(PthError::Damaged);
            }
            Value::Dictionary(entries) => {
                for &(key, value) in entries {
                    let key = match values.get(key) {
                        Value::Text(key) => key.clone(),
                        Value::Integer(key) => key.to_string(),
                        _ => continue,
                    };
                    self.collect_part(values, value, [name, &key], depth)?;
                }
                return Ok(());
            }
            Value::List(items) | Value::Tuple(items) => {
                for (index, &item) in items.iter().enumerate() {
                    self.collect_part(values, item, [name, &index.to_string()], depth)?;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.found.insert(name.to_string(), found);
        Ok(())
    }

    /// Adds what is in the value `id`, which is under a key of a value with a name.
    fn collect_part(
        &mut self,
        values: &Values,
        id: ValueId,
        [name, key]: [&str; 2],
        depth: usize,
    ) -> Result<(), PthError> {
        // At least one byte for each entry, even with an empty name.
        self.names += name.len() + 1 + key.len();
        if self.names > MAX_NAMES {
            return Err(PthError::Damaged);
        }
        let name = match name {
            "" => key.to_string(),
            name => format!("{name}.{key}"),
        };
        self.collect(values, id, &name, depth + 1)
    }
}
