//! The pickle machine.

use std::io::Read;

use super::error::PthError;
use super::globals::global;
use super::reader::PickleReader;
use super::stack::Stack;
use super::values::{Value, ValueId, Values};

/// The result of a pickle.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) values: Values,
    /// The value on top of the stack.
    pub(super) top: ValueId,
}

/// Interprets the instructions of one pickle (documented in Python's `pickletools`).
pub(super) struct Machine<R> {
    pickle: PickleReader<R>,
    stack: Stack,
}

impl<R: Read> Machine<R> {
    /// Runs the pickle up to its STOP instruction.
    pub(super) fn run(pickle: R) -> Result<Pickled, PthError> {
        let mut machine = Self {
            pickle: PickleReader(pickle),
            stack: Stack::default(),
        };
        loop {
            let instruction = machine.pickle.byte()?;
            if instruction == b'.' {
                return Ok(Pickled {
                    top: machine.stack.pop()?,
                    values: machine.stack.values,
                });
            }
            machine.execute(instruction)?;
        }
    }

    fn execute(&mut self, instruction: u8) -> Result<(), PthError> {
        match instruction {
            // PROTO, FRAME and READONLY_BUFFER: ignored.
            0x80 => drop(self.pickle.byte()?),
            0x95 => drop(self.pickle.bytes::<8>()?),
            0x98 => {}
            // Marks.
            b'(' => self.stack.mark()?,
            b'0' => drop(self.stack.pop()?),
            b'1' => drop(self.stack.above_mark()?),
            b'2' => {
                let id = self.stack.top()?;
                self.stack.push_again(id)?;
            }
            // Numbers.
            b'K' => self.push_integer(|[byte]: [u8; 1]| byte.into())?,
            b'M' => self.push_integer(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.push_integer(|bytes| i32::from_le_bytes(bytes).into())?,
            0x8a => {
                let length = self.pickle.length::<1>()?;
                self.push_long(length)?;
            }
            0x8b => {
                let length = self.pickle.length::<4>()?;
                self.push_long(length)?;
            }
            b'I' | b'L' => {
                let line = self.pickle.line()?;
                self.stack.push(match &*line {
                    "00" | "01" => Value::Boolean(line == "01"),
                    line => {
                        let number = line.trim_end_matches('L').parse();
                        number.map_or(Value::Other, Value::Integer)
                    }
                })?;
            }
            b'G' => {
                self.pickle.bytes::<8>()?;
                self.stack.push(Value::Other)?;
            }
            b'F' => {
                self.pickle.line()?;
                self.stack.push(Value::Other)?;
            }
            0x88 | 0x89 => self.stack.push(Value::Boolean(instruction == 0x88))?,
            // None, an empty set, a buffer outside of the pickle.
            b'N' | 0x8f | 0x97 => self.stack.push(Value::Other)?,
            // Text and bytes, in a line or with a length of 1, 4 or 8 bytes.
            b'S' | b'V' => {
                let line = self.pickle.line()?;
                self.stack
                    .push(Value::Text(line.trim_matches(['\'', '"']).to_string()))?;
            }
            0x8c | b'U' | b'C' => {
                let length = self.pickle.length::<1>()?;
                self.push_text(length)?;
            }
            b'X' | b'T' | b'B' => {
                let length = self.pickle.length::<4>()?;
                self.push_text(length)?;
            }
            0x8d | 0x8e | 0x96 => {
                let length = self.pickle.length::<8>()?;
                self.push_text(length)?;
            }
            _ => return self.execute_on_stack(instruction),
        }
        Ok(())
    }

    /// Executes an instruction whose arguments are on the stack or in the memo.
    fn execute_on_stack(&mut self, instruction: u8) -> Result<(), PthError> {
        match instruction {
            // Tuples, lists, dictionaries and sets.
            b')' => self.stack.push(Value::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let items = self.stack.last(usize::from(instruction - 0x84))?;
                self.stack.push_tuple(items)?;
            }
            b't' => {
                let items = self.stack.above_mark()?;
                self.stack.push_tuple(items)?;
            }
            b']' => self.stack.push(Value::List(Vec::new()))?,
            b'l' => {
                let items = self.stack.above_mark()?;
                self.stack.push(Value::List(Vec::new()))?;
                self.stack.append(&items)?;
            }
            b'a' => {
                let item = self.stack.pop()?;
                self.stack.append(&[item])?;
            }
            b'e' => {
                let items = self.stack.above_mark()?;
                self.stack.append(&items)?;
            }
            b'}' => self.stack.push(Value::Dictionary(Vec::new()))?,
            b'd' => {
                let items = self.stack.above_mark()?;
                self.stack.push(Value::Dictionary(Vec::new()))?;
                self.stack.set_items(&items)?;
            }
            b's' => {
                let (value, key) = (self.stack.pop()?, self.stack.pop()?);
                self.stack.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.stack.above_mark()?;
                self.stack.set_items(&items)?;
            }
            0x90 => {
                let (items, set) = (self.stack.above_mark()?, self.stack.top()?);
                self.stack.values.add_parts(set, &items)?;
            }
            0x91 => {
                let items = self.stack.above_mark()?;
                self.stack.push_of(Value::Other, &items)?;
            }
            // The memo.
            b'q' => {
                let key = self.pickle.byte()?;
                self.stack.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.pickle.bytes()?);
                self.stack.remember(key)?;
            }
            b'p' => {
                let key = self.memo_key()?;
                self.stack.remember(key)?;
            }
            0x94 => self.stack.remember(self.stack.memo_len())?,
            b'h' => {
                let key = self.pickle.byte()?;
                self.stack.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.pickle.bytes()?);
                self.stack.recall(key)?;
            }
            b'g' => {
                let key = self.memo_key()?;
                self.stack.recall(key)?;
            }
            _ => return self.execute_object(instruction),
        }
        Ok(())
    }

    /// Executes an instruction about classes, functions and objects. None of them is run: an unknown object
    /// is only named.
    fn execute_object(&mut self, instruction: u8) -> Result<(), PthError> {
        match instruction {
            b'c' => self.push_global()?,
            0x93 => {
                let (name, module) = (self.stack.pop()?, self.stack.pop()?);
                let (Value::Text(name), Value::Text(module)) =
                    (self.stack.values.get(name), self.stack.values.get(module))
                else {
                    return Err(PthError::Damaged);
                };
                self.stack.push(global(module, name).into())?;
            }
            // Classes with a number in a registry of the program that wrote the file.
            0x82..=0x84 => {
                for _ in 0..1 << (instruction - 0x82) {
                    // 1, 2 or 4 bytes.
                    self.pickle.byte()?;
                }
                self.stack.push(Value::Other)?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
                self.stack.call(callable, arguments)?;
            }
            0x92 => {
                let keywords = self.stack.pop()?;
                let (arguments, class) = (self.stack.pop()?, self.stack.pop()?);
                self.stack.call(class, arguments)?;
                let object = self.stack.top()?;
                self.stack.values.add_parts(object, &[keywords])?;
            }
            b'i' => {
                let arguments = self.stack.above_mark()?;
                self.push_global()?;
                let class = self.stack.pop()?;
                self.stack.push_tuple(arguments)?;
                let arguments = self.stack.pop()?;
                self.stack.call(class, arguments)?;
            }
            b'o' => {
                let items = self.stack.above_mark()?;
                let (&class, arguments) = items.split_first().ok_or(PthError::Damaged)?;
                self.stack.push_tuple(arguments.to_vec())?;
                let arguments = self.stack.pop()?;
                self.stack.call(class, arguments)?;
            }
            b'b' => {
                let (state, object) = (self.stack.pop()?, self.stack.top()?);
                self.stack.values.add_parts(object, &[state])?;
            }
            // A persistent id: a storage.
            b'Q' => {
                let facts = self.stack.pop()?;
                self.stack.push_persistent(facts)?;
            }
            // As text: the class of the storage would be known only by its name in Python.
            b'P' => return Err(PthError::ProtocolZero),
            _ => return Err(PthError::Instruction(instruction)),
        }
        Ok(())
    }

    fn push_integer<const N: usize>(
        &mut self,
        number: impl FnOnce([u8; N]) -> i64,
    ) -> Result<(), PthError> {
        let number = number(self.pickle.bytes()?);
        self.stack.push(Value::Integer(number))
    }

    fn push_long(&mut self, length: u64) -> Result<(), PthError> {
        let bytes = self.pickle.take(length)?;
        self.stack
            .push(bytes.map_or(Value::Other, |bytes| signed(&bytes)))
    }

    fn push_text(&mut self, length: u64) -> Result<(), PthError> {
        let bytes = self.pickle.take(length)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        self.stack.push(text.map_or(Value::Other, Value::Text))
    }

    /// Pushes the class or function in the next two lines.
    fn push_global(&mut self) -> Result<(), PthError> {
        let (module, name) = (self.pickle.line()?, self.pickle.line()?);
        self.stack.push(global(&module, &name).into())
    }

    /// The key of the memo in the next line.
    fn memo_key(&mut self) -> Result<u32, PthError> {
        let key = self.pickle.line()?.parse();
        key.map_err(|_| PthError::Damaged)
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
