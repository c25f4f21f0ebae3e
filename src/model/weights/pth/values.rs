//! The values of a pickle that state dictionaries need, and limits on them.

use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::DType;

use super::error::PthError;
use super::tensor::{Storage, StridedTensor};

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
    Text(String),
    Function(Function),
    /// The class of a storage, which is the type of its numbers.
    StorageType(DType),
    Storage(Storage),
    Tuple(Vec<ValueId>),
    List(Vec<ValueId>),
    Dictionary(Vec<(ValueId, ValueId)>),
    Tensor(Rc<StridedTensor>),
    /// Any value that state dictionaries do not need.
    Other,
}

/// The functions that state dictionaries call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Returns a tensor, given a storage, an offset, a shape and strides.
    Tensor,
    /// Returns a parameter, given a tensor.
    Parameter,
    /// Returns a tensor of a subclass, given a function and its arguments.
    Subclass,
    /// Returns an empty dictionary.
    OrderedDictionary,
}

impl Value {
    /// The class or function `name` of `module`.
    pub(super) fn global(module: &str, name: &str) -> Self {
        Self::Function(match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Function::Tensor,
            ("torch._utils", "_rebuild_parameter") => Function::Parameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Function::Subclass,
            ("collections", "OrderedDict") => Function::OrderedDictionary,
            ("torch", storage) => {
                return storage_type(storage).map_or(Self::Other, Self::StorageType);
            }
            _ => return Self::Other,
        })
    }
}

/// The type of the numbers in PyTorch's storage class `name`.
fn storage_type(name: &str) -> Option<DType> {
    Some(match name {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" | "BoolStorage" => DType::U8,
        _ => return None,
    })
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
            Value::Storage(storage) => Some((storage.key.as_str(), storage.dtype.size())),
            _ => None,
        });
        storages.collect()
    }

    /// Adds a value that contains `parts`.
    pub(super) fn push(&mut self, value: Value, parts: &[ValueId]) -> Result<ValueId, PthError> {
        let size = match &value {
            Value::Text(text) => 1 + text.len() / TEXT_PER_VALUE,
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

    /// Adds `items` to the list `id`, or to the dictionary `id` as alternating keys and values.
    pub(super) fn insert(&mut self, id: ValueId, items: &[ValueId]) -> Result<(), PthError> {
        self.add_parts(id, items)?;
        match &mut self.entries[id].value {
            Value::Dictionary(entries) => {
                let (pairs, _) = items.as_chunks();
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            Value::List(list) => list.extend(items),
            _ => {}
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
    /// device, its length, and in old files `None`. [`Value::Other`] if it is something else, such as
    /// the view of another storage.
    pub(super) fn persistent(&mut self, facts: ValueId) -> Result<ValueId, PthError> {
        let value = match self.get(facts) {
            Value::Tuple(parts) => match parts[..] {
                [_, class, key, _device, _length] => self.storage(class, key),
                [_, class, key, _device, _length, view]
                    if !matches!(self.get(view), Value::Tuple(_)) =>
                {
                    self.storage(class, key)
                }
                _ => None,
            },
            _ => None,
        };
        self.push(value.map_or(Value::Other, Value::Storage), &[facts])
    }

    fn storage(&self, class: ValueId, key: ValueId) -> Option<Storage> {
        match (self.get(class), self.get(key)) {
            (Value::StorageType(dtype), Value::Text(key)) => Some(Storage {
                key: key.clone(),
                dtype: *dtype,
            }),
            _ => None,
        }
    }

    /// The result of calling `callable` with the tuple `arguments`.
    pub(super) fn call(
        &mut self,
        callable: ValueId,
        arguments: ValueId,
    ) -> Result<ValueId, PthError> {
        let call = match self.function_call(callable, arguments) {
            // The function of a subclass is not another subclass.
            Some((Function::Subclass, &[callable, _type, arguments, ..])) => {
                self.function_call(callable, arguments)
            }
            call => call,
        };
        let value = match call {
            Some((Function::Tensor, &[storage, offset, shape, strides, ..])) => {
                let tensor = self.tensor(storage, offset, shape, strides);
                tensor.map_or(Value::Other, |tensor| Value::Tensor(Rc::new(tensor)))
            }
            Some((Function::Parameter, &[tensor, ..])) => match self.get(tensor) {
                Value::Tensor(tensor) => Value::Tensor(Rc::clone(tensor)),
                _ => Value::Other,
            },
            Some((Function::OrderedDictionary, _)) => Value::Dictionary(Vec::new()),
            _ => Value::Other,
        };
        self.push(value, &[callable, arguments])
    }

    fn tensor(
        &self,
        storage: ValueId,
        offset: ValueId,
        shape: ValueId,
        strides: ValueId,
    ) -> Option<StridedTensor> {
        let Value::Storage(storage) = self.get(storage) else {
            return None;
        };
        Some(StridedTensor {
            storage: storage.clone(),
            offset: self.integer(offset)?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        })
    }

    /// The function `callable` and the arguments in the tuple `arguments`, if they are these.
    fn function_call(
        &self,
        callable: ValueId,
        arguments: ValueId,
    ) -> Option<(Function, &[ValueId])> {
        match (self.get(callable), self.get(arguments)) {
            (Value::Function(function), Value::Tuple(arguments)) => Some((*function, arguments)),
            _ => None,
        }
    }
}
