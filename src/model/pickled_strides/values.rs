//! The values that a pickle makes, as far as they matter here, and how many it may make.

use std::rc::Rc;

use super::{Layout, PickleError};

/// Values nested deeper are refused: a checkpoint has some ten levels.
pub(super) const DEEPEST: usize = 256;

/// A pickle that makes more values is refused, each counted again with all that is in it whenever the
/// memory takes or gives it: burn-store copies it then. A tensor takes some 100.
pub(super) const MOST_VALUES: usize = 1 << 22;

/// So many bytes of text count as another value, for they are copied, too.
const TEXT_PER_VALUE: usize = 64;

/// The most axes that a tensor of PyTorch can have.
const MOST_AXES: usize = 64;

/// What the instructions of a pickle make, as far as it matters here.
#[derive(Debug)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Function(Function),
    Tuple(Vec<ComputeContext>),
    Dictionary(Vec<(ComputeContext, ComputeContext)>),
    Tensor(Rc<Layout>),
    Other,
}

/// The functions whose results matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// From a storage, an offset, a shape and strides.
    Tensor,
    /// From a tensor.
    Parameter,
    /// A tensor of a subclass, from a function and what that is to be called with.
    Subclass,
    /// An empty dictionary; what is in it is put there afterwards.
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
            _ => return Self::Other,
        })
    }
}

/// Where a value stands in [`Values`].
pub(super) type ComputeContext = usize;

/// All values of a pickle, in the order in which they are made. They hold each other by their place:
/// one that is recalled from the memory is not copied, one in many others is dropped but once, and
/// what holds itself is no trouble.
#[derive(Debug, Default)]
pub(super) struct Values {
    made: Vec<Made>,
    /// How many there would be if the memory copied.
    copied: usize,
}

/// A value, and how large it would be if what it holds had been copied into it.
#[derive(Debug)]
struct Made {
    value: Value,
    size: usize,
    depth: usize,
}

impl Values {
    pub(super) fn get(&self, place: ComputeContext) -> &Value {
        &self.made[place].value
    }

    /// Adds a value made of those at `parts`.
    pub(super) fn push(
        &mut self,
        value: Value,
        parts: &[ComputeContext],
    ) -> Result<ComputeContext, PickleError> {
        let size = match &value {
            Value::Text(text) => 1 + text.len() / TEXT_PER_VALUE,
            _ => 1,
        };
        self.count(size)?;
        let place = self.made.len();
        self.made.push(Made {
            value,
            size,
            depth: 0,
        });
        self.put_into(place, parts)?;
        Ok(place)
    }

    /// Takes note that the values at `parts` are now in the one at `place`.
    pub(super) fn put_into(
        &mut self,
        place: ComputeContext,
        parts: &[ComputeContext],
    ) -> Result<(), PickleError> {
        for &part in parts {
            let Made { size, depth, .. } = self.made[part];
            let whole = &mut self.made[place];
            whole.size = whole.size.saturating_add(size);
            whole.depth = whole.depth.max(depth + 1);
        }
        match self.made[place].depth <= DEEPEST {
            true => Ok(()),
            false => Err(PickleError::Damaged),
        }
    }

    /// Puts items into the list, or keys and values, which take turns in `items`, into the dictionary
    /// at `place`.
    pub(super) fn insert(
        &mut self,
        place: ComputeContext,
        items: &[ComputeContext],
    ) -> Result<(), PickleError> {
        self.put_into(place, items)?;
        if let Value::Dictionary(entries) = &mut self.made[place].value {
            let (pairs, _) = items.as_chunks();
            entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        }
        Ok(())
    }

    /// Takes note that the value at `place` is put into the memory, or taken from it.
    pub(super) fn count_copy(&mut self, place: ComputeContext) -> Result<(), PickleError> {
        self.count(self.made[place].size)
    }

    fn count(&mut self, values: usize) -> Result<(), PickleError> {
        self.copied = self.copied.saturating_add(values);
        match self.copied <= MOST_VALUES {
            true => Ok(()),
            false => Err(PickleError::Damaged),
        }
    }

    /// A tuple of sizes.
    fn sizes(&self, tuple: ComputeContext) -> Option<Vec<usize>> {
        let Value::Tuple(places) = self.get(tuple) else {
            return None;
        };
        if places.len() > MOST_AXES {
            return None;
        }
        let size = |&place: &ComputeContext| match self.get(place) {
            Value::Integer(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        places.iter().map(size).collect()
    }

    /// What calling `callable` with the tuple `arguments` gives.
    pub(super) fn called(
        &mut self,
        callable: ComputeContext,
        arguments: ComputeContext,
    ) -> Result<ComputeContext, PickleError> {
        let call = match self.call(callable, arguments) {
            // No subclass is made by way of another one.
            Some((Function::Subclass, &[callable, _type, arguments, ..])) => {
                self.call(callable, arguments)
            }
            call => call,
        };
        let value = match call {
            Some((Function::Tensor, &[_storage, _offset, shape, strides, ..])) => {
                match (self.sizes(shape), self.sizes(strides)) {
                    (Some(shape), Some(strides)) => {
                        Value::Tensor(Rc::new(Layout { shape, strides }))
                    }
                    _ => Value::Other,
                }
            }
            Some((Function::Parameter, &[tensor, ..])) => match self.get(tensor) {
                Value::Tensor(layout) => Value::Tensor(Rc::clone(layout)),
                _ => Value::Other,
            },
            Some((Function::OrderedDictionary, _)) => Value::Dictionary(Vec::new()),
            _ => Value::Other,
        };
        self.push(value, &[callable, arguments])
    }

    /// The function at `callable` and the arguments in the tuple at `arguments`, if they are these.
    fn call(
        &self,
        callable: ComputeContext,
        arguments: ComputeContext,
    ) -> Option<(Function, &[ComputeContext])> {
        match (self.get(callable), self.get(arguments)) {
            (Value::Function(function), Value::Tuple(arguments)) => Some((*function, arguments)),
            _ => None,
        }
    }
}
