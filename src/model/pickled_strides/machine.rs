//! Following the instructions of a pickle.

use std::collections::HashMap;
use std::io::Read;

use super::PickleError;
use super::values::{ComputeContext, Value, Values};

/// What a whole pickle makes.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) values: Values,
    /// What stands on top in the end.
    pub(super) top: ComputeContext,
}

/// Follows the instructions of one pickle (Python's `pickletools` lists them).
pub(super) struct Machine<R> {
    pickle: R,
    values: Values,
    stack: Vec<ComputeContext>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memory: HashMap<u32, ComputeContext>,
}

impl<R: Read> Machine<R> {
    /// What the pickle makes up to its end.
    pub(super) fn run(pickle: R) -> Result<Pickled, PickleError> {
        let mut machine = Self {
            pickle,
            values: Values::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memory: HashMap::new(),
        };
        loop {
            let [instruction] = machine.bytes()?;
            if instruction == b'.' {
                return Ok(Pickled {
                    top: machine.pop()?,
                    values: machine.values,
                });
            }
            machine.follow(instruction)?;
        }
    }

    fn follow(&mut self, instruction: u8) -> Result<(), PickleError> {
        match instruction {
            // PROTO, FRAME: nothing to do.
            0x80 => drop(self.bytes::<1>()?),
            0x95 => drop(self.bytes::<8>()?),
            // Marks.
            b'(' => self.marks.push(self.stack.len()),
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
            // Tuples, lists and dictionaries. Of a list nothing is needed.
            b')' => self.push(Value::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let start = self
                    .stack
                    .len()
                    .checked_sub(usize::from(instruction - 0x84));
                let items = self.stack.split_off(start.ok_or(PickleError::Damaged)?);
                self.push_tuple(items)?;
            }
            b't' => {
                let items = self.above_mark()?;
                self.push_tuple(items)?;
            }
            b']' => self.push(Value::Other)?,
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
            // The memory.
            b'q' => {
                let [key] = self.bytes()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memory.len() as u32)?,
            b'h' => {
                let [key] = self.bytes()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.bytes()?);
                self.recall(key)?;
            }
            // Names of classes and functions, calls, objects, and the state given to them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::global(&module, &name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) =
                    (self.values.get(name), self.values.get(module))
                else {
                    return Err(PickleError::Damaged);
                };
                self.push(Value::global(module, name))?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let place = self.values.called(callable, arguments)?;
                self.stack.push(place);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.values.put_into(object, &[state])?;
            }
            // A storage.
            b'Q' => {
                let facts = self.pop()?;
                self.push_of(Value::Other, &[facts])?;
            }
            _ => return Err(PickleError::Instruction(instruction)),
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut bytes = [0; N];
        self.pickle.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// As many bytes, of which a damaged pickle may claim more than there are.
    fn take(&mut self, count: u64) -> Result<Vec<u8>, PickleError> {
        let mut bytes = Vec::new();
        let found = self.pickle.by_ref().take(count).read_to_end(&mut bytes)?;
        match found as u64 == count {
            true => Ok(bytes),
            false => Err(PickleError::Damaged),
        }
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let mut line = Vec::new();
        loop {
            match self.bytes()? {
                [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
                [byte] => line.push(byte),
            }
        }
    }

    fn push_integer<const N: usize>(
        &mut self,
        number: impl FnOnce([u8; N]) -> i64,
    ) -> Result<(), PickleError> {
        let number = number(self.bytes()?);
        self.push(Value::Integer(number))
    }

    fn push_text(&mut self, length: u64) -> Result<(), PickleError> {
        let text = self.take(length)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        self.push(Value::Text(text))
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        self.push_of(value, &[])
    }

    /// Pushes a value made of those at `parts`.
    fn push_of(&mut self, value: Value, parts: &[ComputeContext]) -> Result<(), PickleError> {
        let place = self.values.push(value, parts)?;
        self.stack.push(place);
        Ok(())
    }

    fn pop(&mut self) -> Result<ComputeContext, PickleError> {
        self.stack.pop().ok_or(PickleError::Damaged)
    }

    fn top(&self) -> Result<ComputeContext, PickleError> {
        self.stack.last().copied().ok_or(PickleError::Damaged)
    }

    /// Everything above the last mark, which goes with it.
    fn above_mark(&mut self) -> Result<Vec<ComputeContext>, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::Damaged)?;
        match mark <= self.stack.len() {
            true => Ok(self.stack.split_off(mark)),
            false => Err(PickleError::Damaged),
        }
    }

    fn push_tuple(&mut self, items: Vec<ComputeContext>) -> Result<(), PickleError> {
        let parts = items.clone();
        self.push_of(Value::Tuple(items), &parts)
    }

    /// Puts items into the list, or keys and values, which take turns in `items`, into the dictionary
    /// on the stack.
    fn insert(&mut self, items: Vec<ComputeContext>) -> Result<(), PickleError> {
        let place = self.top()?;
        self.values.insert(place, &items)
    }

    fn remember(&mut self, key: u32) -> Result<(), PickleError> {
        let place = self.top()?;
        self.values.count_copy(place)?;
        self.memory.insert(key, place);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), PickleError> {
        let &place = self.memory.get(&key).ok_or(PickleError::Damaged)?;
        self.values.count_copy(place)?;
        self.stack.push(place);
        Ok(())
    }
}

/// A two's complement number of any length, the least byte first, if it fits.
fn signed(bytes: &[u8]) -> Value {
    if bytes.len() > size_of::<i64>() {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; size_of::<i64>()];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Integer(i64::from_le_bytes(whole))
}
