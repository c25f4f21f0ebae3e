//! The stack and the memo of the pickle machine.

use std::collections::HashMap;

use super::error::PthError;
use super::values::{Value, ValueId, Values};

/// The values of a pickle, and where they are.
#[derive(Debug, Default)]
pub(super) struct Stack {
    pub(super) values: Values,
    stack: Vec<ValueId>,
    /// The height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl Stack {
    pub(super) fn mark(&mut self) -> Result<(), PthError> {
        self.values.count(1)?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// The number of entries of the memo.
    pub(super) fn memo_len(&self) -> u32 {
        self.memo.len() as u32
    }

    /// Removes and returns the `count` values on top.
    pub(super) fn last(&mut self, count: usize) -> Result<Vec<ValueId>, PthError> {
        let start = self.stack.len().checked_sub(count);
        Ok(self.stack.split_off(start.ok_or(PthError::Damaged)?))
    }

    /// Pushes the result of calling `callable` with the tuple `arguments`.
    pub(super) fn call(&mut self, callable: ValueId, arguments: ValueId) -> Result<(), PthError> {
        let id = self.values.call(callable, arguments)?;
        self.stack.push(id);
        Ok(())
    }

    /// Pushes what the persistent id in the tuple `facts` refers to.
    pub(super) fn push_persistent(&mut self, facts: ValueId) -> Result<(), PthError> {
        let id = self.values.persistent(facts)?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), PthError> {
        self.push_of(value, &[])
    }

    /// Pushes a value that contains `parts`.
    pub(super) fn push_of(&mut self, value: Value, parts: &[ValueId]) -> Result<(), PthError> {
        let id = self.values.push(value, parts)?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<ValueId, PthError> {
        self.stack.pop().ok_or(PthError::Damaged)
    }

    pub(super) fn top(&self) -> Result<ValueId, PthError> {
        self.stack.last().copied().ok_or(PthError::Damaged)
    }

    /// Removes the last mark and everything above it; returns the latter.
    pub(super) fn above_mark(&mut self) -> Result<Vec<ValueId>, PthError> {
        let mark = self.marks.pop().ok_or(PthError::Damaged)?;
        match mark <= self.stack.len() {
            true => Ok(self.stack.split_off(mark)),
            false => Err(PthError::Damaged),
        }
    }

    pub(super) fn push_tuple(&mut self, items: Vec<ValueId>) -> Result<(), PthError> {
        let parts = items.clone();
        self.push_of(Value::Tuple(items), &parts)
    }

    /// Adds `items` to the list on the stack.
    pub(super) fn append(&mut self, items: &[ValueId]) -> Result<(), PthError> {
        let list = self.top()?;
        self.values.append(list, items)
    }

    /// Adds `items`, alternating keys and values, to the dictionary on the stack.
    pub(super) fn set_items(&mut self, items: &[ValueId]) -> Result<(), PthError> {
        let dictionary = self.top()?;
        self.values.set_items(dictionary, items)
    }

    pub(super) fn remember(&mut self, key: u32) -> Result<(), PthError> {
        let id = self.top()?;
        self.values.count_copy(id)?;
        self.memo.insert(key, id);
        Ok(())
    }

    pub(super) fn recall(&mut self, key: u32) -> Result<(), PthError> {
        let &id = self.memo.get(&key).ok_or(PthError::Damaged)?;
        self.push_again(id)
    }

    /// Pushes a value that exists.
    pub(super) fn push_again(&mut self, id: ValueId) -> Result<(), PthError> {
        self.values.count_copy(id)?;
        self.stack.push(id);
        Ok(())
    }
}
