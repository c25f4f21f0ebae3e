//! The values of a pickle that state dictionaries need, and limits on them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::error::PthError;
use super::globals::{Function, Global, Numbers, StorageClass};
use super::tensor::StridedTensor;
use crate::model::weights::unsupported::UnsupportedTensor;

/// The limit on nested values; a checkpoint has about ten levels.
pub(super) const MAX_DEPTH: usize = 256;

/// The limit on the number of values; a tensor takes about 100. A value counts again, with everything
/// in it, whenever the pickle's memo stores or recalls it. So the values have a bounded size as a tree
/// too, in which everything is copied.
pub(super) const MAX_VALUES: usize = 1 << 22;

/// The number of bytes of text that count as another value.
const TEXT_PER_VALUE: usize = 64;

/// The most axes of a tensor in PyTorch.
const MAX_AXES: usize = 64;

/// A value of a pickle.
#[derive(Debug)]
pub(super) enum Value {
    Integer(i64),
    Boolean(bool),
    Text(String),
    Function(Function),
    StorageClass(StorageClass),
    /// Any other class or function, by its name.
    Class(Arc<str>),
    Storage(Storage),
    Tuple(Vec<ValueId>),
    List(Vec<ValueId>),
    Dictionary(Vec<(ValueId, ValueId)>),
    Tensor(Rc<StridedTensor>),
    /// What is in place of a tensor, and any other object by its class.
    Unsupported(UnsupportedTensor),
    /// Any other value that state dictionaries do not need.
    Other,
}

impl From<Global> for Value {
    fn from(global: Global) -> Self {
        match global {
            Global::Function(function) => Self::Function(function),
            Global::StorageClass(class) => Self::StorageClass(class),
            Global::Named(name) => Self::Class(name),
        }
    }
}

/// An array of numbers in the file.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Its name in the file.
    pub(super) key: String,
    pub(super) class: StorageClass,
}

/// The index of a value in [`Values`].
pub(super) type ValueId = usize;

/// All values of a pickle, in the order of their creation. They refer to each other by index: a value
/// recalled from the memo is not copied, a value in many others is dropped once, and cycles are
/// harmless.
#[derive(Debug, Default)]
pub(super) struct Values {
    entries: Vec<Entry>,
    /// The number of values if the memo copied them.
    copied: usize,
}

/// A value, and its size and depth as a tree.
#[derive(Debug)]
struct Entry {
    value: Value,
    size: usize,
    depth: usize,
}

impl Values {
    pub(super) fn get(&self, id: ValueId) -> &Value {
        &self.entries[id].value
    }

    /// The size of a number in bytes for each storage, by key.
    pub(super) fn storage_sizes(&self) -> BTreeMap<&str, usize> {
        let storages = self.entries.iter().filter_map(|entry| match &entry.value {
            Value::Storage(storage) => Some((storage.key.as_str(), storage.class.size)),
            _ => None,
        });
        storages.collect()
    }

    /// Adds a value that contains `parts`.
    pub(super) fn push(&mut self, value: Value, parts: &[ValueId]) -> Result<ValueId, PthError> {
        let size = match &value {
            Value::Text(text) => 1 + text.len() / TEXT_PER_VALUE,
            Value::Class(name) => 1 + name.len() / TEXT_PER_VALUE,
            _ => 1,
        };
        self.count(size)?;
        let id = self.entries.len();
        self.entries.push(Entry {
            value,
            size,
            depth: 0,
        });
        self.add_parts(id, parts)?;
        Ok(id)
    }

    /// Adds the sizes of `parts` to the value `id`, which contains them now.
    pub(super) fn add_parts(&mut self, id: ValueId, parts: &[ValueId]) -> Result<(), PthError> {
        for &part in parts {
            let Entry { size, depth, .. } = self.entries[part];
            let whole = &mut self.entries[id];
            whole.size = whole.size.saturating_add(size);
            whole.depth = whole.depth.max(depth + 1);
        }
        match self.entries[id].depth <= MAX_DEPTH {
            true => Ok(()),
            false => Err(PthError::Damaged),
        }
    }

    /// Adds `items` to the list `id`.
    pub(super) fn append(&mut self, id: ValueId, items: &[ValueId]) -> Result<(), PthError> {
        self.add_parts(id, items)?;
        if let Value::List(list) = &mut self.entries[id].value {
            list.extend(items);
        }
        Ok(())
    }

    /// Adds `items`, alternating keys and values, to the dictionary `id`. An object that takes them is of a
    /// subclass.
    pub(super) fn set_items(&mut self, id: ValueId, items: &[ValueId]) -> Result<(), PthError> {
        self.add_parts(id, items)?;
        let value = &mut self.entries[id].value;
        if matches!(value, Value::Unsupported(UnsupportedTensor::Object(_))) {
            *value = Value::Dictionary(Vec::new());
        }
        if let Value::Dictionary(entries) = value {
            let (pairs, _) = items.as_chunks();
            entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        }
        Ok(())
    }

    /// Counts the value `id`, which the memo stores or recalls.
    pub(super) fn count_copy(&mut self, id: ValueId) -> Result<(), PthError> {
        self.count(self.entries[id].size)
    }

    /// Counts what takes the memory of `values` values.
    pub(super) fn count(&mut self, values: usize) -> Result<(), PthError> {
        self.copied = self.copied.saturating_add(values);
        match self.copied <= MAX_VALUES {
            true => Ok(()),
            false => Err(PthError::Damaged),
        }
    }

    fn integer(&self, id: ValueId) -> Option<usize> {
        match self.get(id) {
            Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A tuple of sizes.
    fn sizes(&self, tuple: ValueId) -> Option<Vec<usize>> {
        match self.get(tuple) {
            Value::Tuple(ids) if ids.len() <= MAX_AXES => {
                ids.iter().map(|&id| self.integer(id)).collect()
            }
            _ => None,
        }
    }

    /// The storage with the persistent id in the tuple `facts`: `'storage'`, its class, its key, its
    /// device, its length, and in old files `None`, or the place of a view in another storage. In old files
    /// also the class of a module: `'module'`, the class, its source file and its source.
    pub(super) fn persistent(&mut self, facts: ValueId) -> Result<ValueId, PthError> {
        let value = match self.get(facts) {
            Value::Tuple(parts) => match parts[..] {
                [_, class, key, _device, _length] => self.storage(class, key),
                [_, class, key, _device, _length, view] => match self.get(view) {
                    Value::Tuple(_) => Value::Unsupported(UnsupportedTensor::Layout("view")),
                    _ => self.storage(class, key),
                },
                [_, class, _file, _source] => match self.get(class) {
                    Value::Class(class) => Value::Class(class.clone()),
                    _ => Value::Other,
                },
                _ => Value::Other,
            },
            _ => Value::Other,
        };
        self.push(value, &[facts])
    }

    fn storage(&self, class: ValueId, key: ValueId) -> Value {
        match (self.get(class), self.get(key)) {
            (&Value::StorageClass(class), Value::Text(key)) => Value::Storage(Storage {
                key: key.clone(),
                class,
            }),
            _ => Value::Other,
        }
    }

    /// The result of calling `callable` with the tuple `arguments`.
    pub(super) fn call(
        &mut self,
        callable: ValueId,
        arguments: ValueId,
    ) -> Result<ValueId, PthError> {
        let value = match (self.get(callable), self.get(arguments)) {
            (Value::Function(Function::Subclass), Value::Tuple(parts)) => match parts[..] {
                // The function of a subclass is not another subclass.
                [function, _type, arguments, ..] => self.result(function, arguments),
                _ => Value::Other,
            },
            _ => self.result(callable, arguments),
        };
        self.push(value, &[callable, arguments])
    }

    fn result(&self, callable: ValueId, arguments: ValueId) -> Value {
        let object =
            |class: &Arc<str>| Value::Unsupported(UnsupportedTensor::Object(class.clone()));
        let function = match self.get(callable) {
            Value::Function(function) => function,
            Value::Class(class) => return object(class),
            _ => return Value::Other,
        };
        let arguments = match self.get(arguments) {
            Value::Tuple(arguments) => &arguments[..],
            _ => return Value::Other,
        };
        match (function, arguments) {
            (Function::Tensor, &[storage, offset, shape, strides, ref options @ ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides);
                match (tensor, self.lazy_flag(options)) {
                    (Some(Value::Tensor(_)), Some(flag)) => {
                        Value::Unsupported(UnsupportedTensor::LazyView(flag))
                    }
                    (tensor, _) => tensor.unwrap_or(Value::Other),
                }
            }
            (Function::TypedTensor, &[_, _, _, _, _, _, dtype, ..]) => match self.get(dtype) {
                Value::Class(name) => {
                    Value::Unsupported(UnsupportedTensor::Numbers(name.to_string()))
                }
                _ => Value::Other,
            },
            (Function::Parameter, &[tensor, ..]) => match self.get(tensor) {
                Value::Tensor(tensor) => Value::Tensor(Rc::clone(tensor)),
                Value::Unsupported(kind) => Value::Unsupported(kind.clone()),
                _ => Value::Other,
            },
            (Function::Dictionary, _) => Value::Dictionary(Vec::new()),
            (Function::Object, &[class, ..]) => match self.get(class) {
                Value::Class(class) => object(class),
                Value::Function(Function::Dictionary) => Value::Dictionary(Vec::new()),
                _ => Value::Other,
            },
            (Function::Unsupported(kind), _) => Value::Unsupported(kind.clone()),
            _ => Value::Other,
        }
    }

    /// The flag of a view whose values are computed when they are used. `options` are whether a tensor needs
    /// a gradient, its hooks, and in some files a dictionary with its flags.
    fn lazy_flag(&self, options: &[ValueId]) -> Option<&'static str> {
        const FLAGS: [&str; 2] = ["neg", "conj"];
        let Value::Dictionary(entries) = self.get(*options.get(2)?) else {
            return None;
        };
        let is_set = |flag: &&str| {
            entries.iter().any(|&(key, value)| {
                matches!(self.get(key), Value::Text(key) if key == flag)
                    && matches!(self.get(value), Value::Boolean(true))
            })
        };
        FLAGS.into_iter().find(is_set)
    }

    fn tensor(
        &self,
        storage: ValueId,
        offset: ValueId,
        shape: ValueId,
        strides: ValueId,
    ) -> Option<Value> {
        let storage = match self.get(storage) {
            Value::Storage(storage) => storage,
            Value::Unsupported(kind) => return Some(Value::Unsupported(kind.clone())),
            _ => return None,
        };
        let dtype = match storage.class.numbers {
            Numbers::Known(dtype) => dtype,
            Numbers::Unknown(name) => {
                let kind = UnsupportedTensor::Numbers(name.to_string());
                return Some(Value::Unsupported(kind));
            }
        };
        Some(Value::Tensor(Rc::new(StridedTensor {
            storage: storage.key.clone(),
            dtype,
            offset: self.integer(offset)?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        })))
    }
}
