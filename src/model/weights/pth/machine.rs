//! The pickle machine.

use std::collections::HashMap;
use std::io::Read;

use super::error::PthError;
use super::values::{Value, ValueId, Values};

/// The limit on the length of a text, in bytes.
const MAX_TEXT: u64 = 1 << 24;

/// The result of a pickle.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) values: Values,
    /// The value on top of the stack.
    pub(super) top: ValueId,
}

/// Interprets the instructions of one pickle (documented in Python's `pickletools`).
pub(super) struct Machine<R> {
    pickle: R,
    values: Values,
    stack: Vec<ValueId>,
    /// The height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl<R: Read> Machine<R> {
    /// Runs the pickle up to its STOP instruction.
    pub(super) fn run(pickle: R) -> Result<Pickled, PthError> {
        let mut machine = Self {
            pickle,
            values: Values::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let [instruction] = machine.bytes()?;
            if instruction == b'.' {
                return Ok(Pickled {
                    top: machine.pop()?,
                    values: machine.values,
                });
            }
            machine.execute(instruction)?;
        }
    }

    fn execute(&mut self, instruction: u8) -> Result<(), PthError> {
        match instruction {
            // PROTO, FRAME: ignored.
            0x80 => drop(self.bytes::<1>()?),
            0x95 => drop(self.bytes::<8>()?),
            // Marks.
            b'(' => {
                self.values.count(1)?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            // Numbers.
            b'K' => self.push_integer(|[byte]: [u8; 1]| byte.into())?,
            b'M' => self.push_integer(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.push_integer(|bytes| i32::from_le_bytes(bytes).into())?,
            0x8a => {
                let [length] = self.bytes()?;
                let value = signed(&self.take(length.into())?);
                self.push(value)?;
            }
            b'G' => {
                self.bytes::<8>()?;
                self.push(Value::Other)?;
            }
            // None, true, false, an empty set.
            b'N' | 0x88 | 0x89 | 0x8f => self.push(Value::Other)?,
            // Strings: text with a length of 1, 4 or 8 bytes, and bytes.
            0x8c | b'U' | b'C' => {
                let [length] = self.bytes()?;
                self.push_text(length.into())?;
            }
            b'X' | b'T' | b'B' => {
                let length = u32::from_le_bytes(self.bytes()?);
                self.push_text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.bytes()?);
                self.push_text(length)?;
            }
            // Tuples, lists and dictionaries.
            b')' => self.push(Value::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let start = self
                    .stack
                    .len()
                    .checked_sub(usize::from(instruction - 0x84));
                let items = self.stack.split_off(start.ok_or(PthError::Damaged)?);
                self.push_tuple(items)?;
            }
            b't' => {
                let items = self.above_mark()?;
                self.push_tuple(items)?;
            }
            b']' => self.push(Value::List(Vec::new()))?,
            b'a' => {
                let item = self.pop()?;
                self.insert(vec![item])?;
            }
            b'e' => {
                let items = self.above_mark()?;
                self.insert(items)?;
            }
            b'}' => self.push(Value::Dictionary(Vec::new()))?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                self.insert(items)?;
            }
            // The memo.
            b'q' => {
                let [key] = self.bytes()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let [key] = self.bytes()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.recall(key)?;
            }
            // Classes and functions, calls, objects and their state.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::global(&module, &name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) =
                    (self.values.get(name), self.values.get(module))
                else {
                    return Err(PthError::Damaged);
                };
                self.push(Value::global(module, name))?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let id = self.values.call(callable, arguments)?;
                self.stack.push(id);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.values.add_parts(object, &[state])?;
            }
            // A persistent id: a storage.
            b'Q' => {
                let facts = self.pop()?;
                let id = self.values.persistent(facts)?;
                self.stack.push(id);
            }
            _ => return Err(PthError::Instruction(instruction)),
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PthError> {
        let mut bytes = [0; N];
        self.pickle.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads `count` bytes. A damaged pickle may claim more than it has, so memory is not reserved.
    fn take(&mut self, count: u64) -> Result<Vec<u8>, PthError> {
        if count > MAX_TEXT {
            return Err(PthError::Damaged);
        }
        let mut bytes = Vec::new();
        let found = self.pickle.by_ref().take(count).read_to_end(&mut bytes)?;
        match found as u64 == count {
            true => Ok(bytes),
            false => Err(PthError::Damaged),
        }
    }

    fn line(&mut self) -> Result<String, PthError> {
        let mut line = Vec::new();
        loop {
            match self.bytes()? {
                [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
                _ if line.len() as u64 == MAX_TEXT => return Err(PthError::Damaged),
                [byte] => line.push(byte),
            }
        }
    }

    fn push_integer<const N: usize>(
        &mut self,
        number: impl FnOnce([u8; N]) -> i64,
    ) -> Result<(), PthError> {
        let number = number(self.bytes()?);
        self.push(Value::Integer(number))
    }

    fn push_text(&mut self, length: u64) -> Result<(), PthError> {
        let text = self.take(length)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        self.push(Value::Text(text))
    }

    fn push(&mut self, value: Value) -> Result<(), PthError> {
        self.push_of(value, &[])
    }

    /// Pushes a value that contains `parts`.
    fn push_of(&mut self, value: Value, parts: &[ValueId]) -> Result<(), PthError> {
        let id = self.values.push(value, parts)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<ValueId, PthError> {
        self.stack.pop().ok_or(PthError::Damaged)
    }

    fn top(&self) -> Result<ValueId, PthError> {
        self.stack.last().copied().ok_or(PthError::Damaged)
    }

    /// Removes the last mark and everything above it; returns the latter.
    fn above_mark(&mut self) -> Result<Vec<ValueId>, PthError> {
        let mark = self.marks.pop().ok_or(PthError::Damaged)?;
        match mark <= self.stack.len() {
            true => Ok(self.stack.split_off(mark)),
            false => Err(PthError::Damaged),
        }
    }

    fn push_tuple(&mut self, items: Vec<ValueId>) -> Result<(), PthError> {
        let parts = items.clone();
        self.push_of(Value::Tuple(items), &parts)
    }

    /// Adds `items` to the list on the stack, or to the dictionary as alternating keys and values.
    fn insert(&mut self, items: Vec<ValueId>) -> Result<(), PthError> {
        let id = self.top()?;
        self.values.insert(id, &items)
    }

    fn remember(&mut self, key: u32) -> Result<(), PthError> {
        let id = self.top()?;
        self.values.count_copy(id)?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), PthError> {
        let &id = self.memo.get(&key).ok_or(PthError::Damaged)?;
        self.values.count_copy(id)?;
        self.stack.push(id);
        Ok(())
    }
}

/// A little-endian two's complement number of any length; [`Value::Other`] if it exceeds 64 bits.
fn signed(bytes: &[u8]) -> Value {
    if bytes.len() > size_of::<i64>() {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; size_of::<i64>()];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Integer(i64::from_le_bytes(whole))
}
