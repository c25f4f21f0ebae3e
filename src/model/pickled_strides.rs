//! In which order a PyTorch file stores the numbers of its tensors.
//!
//! `torch.save` writes a tensor as a piece of storage with a shape and strides, and keeps the
//! strides of transposed and channels-last tensors: EfficientNet-Lite0's published kernels have
//! TensorFlow's order. burn-store 0.21 reads the storage row by row whatever the strides are
//! (burn's issue 5383), so they are read here, from the pickle in the file. What a pickle *says* is
//! followed only as far as dictionaries and tensors go; nothing in it is ever run.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::Path,
    rc::Rc,
};

/// How a tensor lies in its storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    shape: Vec<usize>,
    /// For each axis, how far neighbours are apart, in numbers.
    strides: Vec<usize>,
}

impl Layout {
    /// The numbers `stored` from the tensor's first on, put into the order of rows; none where they
    /// are not as many as the shape says, or the tensor is spread over more.
    pub(super) fn row_by_row(&self, stored: &[f32]) -> Option<Vec<f32>> {
        let mut sides = self.shape.iter();
        let count = sides.try_fold(1, |count: usize, &side| count.checked_mul(side));
        if count != Some(stored.len()) || self.shape.len() != self.strides.len() {
            return None;
        }
        let axes = self.shape.iter().zip(&self.strides);
        let places = axes.fold(vec![0], |starts: Vec<usize>, (&length, &stride)| {
            // What is beyond every number stays there, whatever comes on top of it.
            let along = |start: usize| {
                (0..length).map(move |i| start.saturating_add(i.saturating_mul(stride)))
            };
            starts.into_iter().flat_map(along).collect()
        });
        places.into_iter().map(|i| stored.get(i).copied()).collect()
    }
}

/// Why a pickle could not be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PickleError {
    /// It ends early, or is not one.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is in an archive that has none.
    #[error("{0}")]
    Archive(#[from] zip::result::ZipError),
    /// It has an instruction that state dictionaries do not need.
    #[error("instruction {0:#04x} of its pickle is none that torch.save writes")]
    Instruction(u8),
    /// It takes from its stack what it has not put there.
    #[error("its pickle is damaged")]
    Damaged,
}

/// How each tensor of the `.pth` file at `path` lies in its storage, by name; names within nested
/// dictionaries are joined by dots.
pub(super) fn pickled_layouts(path: &Path) -> Result<BTreeMap<String, Layout>, PickleError> {
    /// Where an archive begins (the signature of a zip file).
    const ARCHIVE: &[u8] = b"PK\x03\x04";
    /// The pickle in an archive, whose folder has the file's name.
    const PICKLE: &str = "/data.pkl";
    /// In files from before PyTorch 1.6: a magic number, a version and facts of the machine.
    const OLD_PREAMBLE: usize = 3;

    let mut file = BufReader::new(File::open(path)?);
    let pickled = if file.fill_buf()?.starts_with(ARCHIVE) {
        file.rewind()?;
        let mut archive = zip::ZipArchive::new(file)?;
        let name = archive.file_names().find(|name| name.ends_with(PICKLE));
        let name = name.unwrap_or_default().to_string();
        Machine::run(BufReader::new(archive.by_name(&name)?))?
    } else {
        for _ in 0..OLD_PREAMBLE {
            Machine::run(&mut file)?;
        }
        Machine::run(file)?
    };
    pickled.layouts()
}

/// Values nested deeper are refused: a checkpoint has some ten levels.
const DEEPEST: usize = 256;

/// A pickle that makes more values is refused, each counted again with all that is in it whenever the
/// memory takes or gives it: burn-store copies it then. A tensor takes some 100.
const MOST_VALUES: usize = 1 << 22;

/// So many bytes of text count as another value, for they are copied, too.
const TEXT_PER_VALUE: usize = 64;

/// Names that are longer together, in bytes, are refused. A pickle may hold the same dictionary many
/// times, and dictionaries of such ones; the names of its tensors multiply with each level.
const LONGEST_NAMES: usize = 1 << 24;

/// The most axes that a tensor of PyTorch can have.
const MOST_AXES: usize = 64;

/// What the instructions of a pickle make, as far as it matters here.
#[derive(Debug)]
enum Value {
    Integer(i64),
    Text(String),
    Function(Function),
    Tuple(Vec<Place>),
    Dictionary(Vec<(Place, Place)>),
    Tensor(Rc<Layout>),
    Other,
}

/// The functions whose results matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
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
    fn global(module: &str, name: &str) -> Self {
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
type Place = usize;

/// All values of a pickle, in the order in which they are made. They hold each other by their place:
/// one that is recalled from the memory is not copied, one in many others is dropped but once, and
/// what holds itself is no trouble.
#[derive(Debug, Default)]
struct Values {
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
    fn get(&self, place: Place) -> &Value {
        &self.made[place].value
    }

    /// Adds a value made of those at `parts`.
    fn push(&mut self, value: Value, parts: &[Place]) -> Result<Place, PickleError> {
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
    fn put_into(&mut self, place: Place, parts: &[Place]) -> Result<(), PickleError> {
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

    /// Takes note that the value at `place` is put into the memory, or taken from it.
    fn count_copy(&mut self, place: Place) -> Result<(), PickleError> {
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
    fn sizes(&self, tuple: Place) -> Option<Vec<usize>> {
        let Value::Tuple(places) = self.get(tuple) else {
            return None;
        };
        if places.len() > MOST_AXES {
            return None;
        }
        let size = |&place: &Place| match self.get(place) {
            Value::Integer(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        places.iter().map(size).collect()
    }

    /// What calling `callable` with the tuple `arguments` gives.
    fn called(&mut self, callable: Place, arguments: Place) -> Result<Place, PickleError> {
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
    fn call(&self, callable: Place, arguments: Place) -> Option<(Function, &[Place])> {
        match (self.get(callable), self.get(arguments)) {
            (Value::Function(function), Value::Tuple(arguments)) => Some((*function, arguments)),
            _ => None,
        }
    }
}

/// What a whole pickle makes.
#[derive(Debug)]
struct Pickled {
    values: Values,
    /// What stands on top in the end.
    top: Place,
}

impl Pickled {
    /// The layout of each tensor by its name.
    fn layouts(&self) -> Result<BTreeMap<String, Layout>, PickleError> {
        let mut found = Found {
            layouts: BTreeMap::new(),
            names: 0,
        };
        found.collect(&self.values, self.top, "", 0)?;
        Ok(found.layouts)
    }
}

/// The layouts found so far.
struct Found {
    layouts: BTreeMap<String, Layout>,
    /// The length of all names together, those of dictionaries included.
    names: usize,
}

impl Found {
    /// Adds those in the value at `place`, which is called `name` and has `depth` dictionaries around
    /// it.
    fn collect(
        &mut self,
        values: &Values,
        place: Place,
        name: &str,
        depth: usize,
    ) -> Result<(), PickleError> {
        let entries = match values.get(place) {
            Value::Tensor(layout) => {
                let layout = Layout::clone(layout);
                self.layouts.insert(name.to_string(), layout);
                return Ok(());
            }
            Value::Dictionary(entries) if depth < DEEPEST => entries,
            Value::Dictionary(_) => return Err(PickleError::Damaged),
            _ => return Ok(()),
        };
        for &(key, value) in entries {
            let key = match values.get(key) {
                Value::Text(key) => key.clone(),
                Value::Integer(key) => key.to_string(),
                _ => continue,
            };
            // At least one for each, an empty one also.
            self.names += name.len() + 1 + key.len();
            if self.names > LONGEST_NAMES {
                return Err(PickleError::Damaged);
            }
            let name = match name {
                "" => key,
                name => format!("{name}.{key}"),
            };
            self.collect(values, value, &name, depth + 1)?;
        }
        Ok(())
    }
}

/// Follows the instructions of one pickle (Python's `pickletools` lists them).
struct Machine<R> {
    pickle: R,
    values: Values,
    stack: Vec<Place>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memory: HashMap<u32, Place>,
}

impl<R: Read> Machine<R> {
    fn run(pickle: R) -> Result<Pickled, PickleError> {
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
    fn push_of(&mut self, value: Value, parts: &[Place]) -> Result<(), PickleError> {
        let place = self.values.push(value, parts)?;
        self.stack.push(place);
        Ok(())
    }

    fn pop(&mut self) -> Result<Place, PickleError> {
        self.stack.pop().ok_or(PickleError::Damaged)
    }

    fn top(&self) -> Result<Place, PickleError> {
        self.stack.last().copied().ok_or(PickleError::Damaged)
    }

    /// Everything above the last mark, which goes with it.
    fn above_mark(&mut self) -> Result<Vec<Place>, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::Damaged)?;
        match mark <= self.stack.len() {
            true => Ok(self.stack.split_off(mark)),
            false => Err(PickleError::Damaged),
        }
    }

    fn push_tuple(&mut self, items: Vec<Place>) -> Result<(), PickleError> {
        let parts = items.clone();
        self.push_of(Value::Tuple(items), &parts)
    }

    /// Puts items into the list, or keys and values, which take turns in `items`, into the dictionary
    /// on the stack.
    fn insert(&mut self, items: Vec<Place>) -> Result<(), PickleError> {
        let place = self.top()?;
        self.values.put_into(place, &items)?;
        if let Value::Dictionary(entries) = &mut self.values.made[place].value {
            let (pairs, _) = items.as_chunks();
            entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS_LAST: &str = "assets/fixtures/convolution_block_channels_last.pth";
    const OLD_FORMAT: &str = "assets/fixtures/convolution_block_channels_last_old_format.pth";

    fn layout(shape: &[usize], strides: &[usize]) -> Layout {
        Layout {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn strides_are_found_in_both_formats() {
        for file in [CHANNELS_LAST, OLD_FORMAT] {
            let layouts = pickled_layouts(Path::new(file)).unwrap();
            let kernel = layout(&[3, 2, 3, 3], &[18, 1, 6, 2]);
            assert_eq!(layouts["conv.weight"], kernel, "{file}");
            assert_eq!(layouts["bn.running_var"], layout(&[3], &[1]), "{file}");
        }
    }

    #[test]
    fn numbers_are_put_into_the_order_of_rows() {
        let stored = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let rows = |strides: &[usize]| layout(&[2, 3], strides).row_by_row(&stored);
        assert_eq!(rows(&[3, 1]).unwrap(), stored);
        assert_eq!(rows(&[1, 2]).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        // Every second number of a storage of which only six were read.
        assert_eq!(rows(&[6, 2]), None);
        assert_eq!(layout(&[], &[]).row_by_row(&stored[..1]).unwrap(), [1.0]);
    }

    #[test]
    fn shapes_and_strides_that_cannot_be_are_refused() {
        let stored = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (shape, strides) in [
            (&[3, 3][..], &[0, 0][..]),
            (&[1 << 40], &[0]),
            (&[1 << 40, 1 << 40], &[0, 0]),
            (&[2, 3], &[usize::MAX, 1]),
            (&[2, 3], &[usize::MAX, usize::MAX]),
            (&[2, 3], &[3]),
        ] {
            let found = layout(shape, strides).row_by_row(&stored);
            assert_eq!(found, None, "{shape:?} {strides:?}");
        }
    }

    #[test]
    fn pickles_that_end_early_or_take_what_is_not_there_are_refused() {
        let whole = std::fs::read(OLD_FORMAT).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.pth");
        for length in [0, 5, 40, 200, 400] {
            std::fs::write(&cut, &whole[..length]).unwrap();
            assert!(pickled_layouts(&cut).is_err(), "{length}");
        }
        // Claims of text, numbers and items beyond the end; a mark, a memory and a stack that lack.
        for pickle in [
            &b"X\xff\xff\xff\xffab."[..],
            b"\x8a\xffab.",
            b"t.",
            b"h\x07.",
            b"R.",
            b"\x87.",
            b"(0.",
            b"((K\x01tt0t.",
            b".",
        ] {
            assert!(Machine::run(pickle).is_err(), "{pickle:?}");
        }
        let unknown = Machine::run(&b"i."[..]);
        assert!(matches!(unknown, Err(PickleError::Instruction(b'i'))));
    }

    fn layouts(pickle: &[u8]) -> Result<BTreeMap<String, Layout>, PickleError> {
        Machine::run(pickle)?.layouts()
    }

    /// A dictionary with the tensor `t` of one axis, which remembers itself as 0.
    const DICTIONARY: &[u8] = b"}q\x00\x8c\x01tctorch._utils\n_rebuild_tensor_v2\n\
                                (K\x00K\x00K\x03\x85K\x01\x85tRs";

    #[test]
    fn recalled_values_are_what_they_became_since() {
        // {"a": d, "b": d}, remembered before the tensor is in it.
        let pickle = [b"}", DICTIONARY, b"0\x8c\x01ah\x00s\x8c\x01bh\x00s."].concat();
        let found = layouts(&pickle).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a.t", "b.t"]);
        assert_eq!(found["b.t"], layout(&[3], &[1]));
    }

    #[test]
    fn values_that_hold_others_twice_do_not_multiply_without_end() {
        let tensors = b"q\x000}\x8c\x01ah\x00s\x8c\x01bh\x00s";
        let few = [DICTIONARY, &tensors.repeat(4), b"."].concat();
        assert_eq!(layouts(&few).unwrap().len(), 16);
        // Tuples, lists, dictionaries, what functions return, and states.
        for (start, level) in [
            (&b")"[..], &b"q\x00h\x00\x86"[..]),
            (b"]", b"q\x000](h\x00h\x00e"),
            (b"]", b"q\x000]h\x00ah\x00a"),
            (DICTIONARY, tensors),
            (b")", b"q\x00h\x00R"),
            (b"]", b"q\x00h\x00b"),
        ] {
            let many = [start, &level.repeat(100), b"."].concat();
            let refused = layouts(&many);
            assert!(matches!(refused, Err(PickleError::Damaged)), "{level:?}");
        }
        // One long text, ever again.
        let text = [b"X\0\0\x01\0", &[b'a'; 1 << 16][..], b"q\x00"].concat();
        let again = [&text[..], &b"h\x00".repeat(1 << 16), b"."].concat();
        assert!(matches!(layouts(&again), Err(PickleError::Damaged)));
    }

    #[test]
    fn names_of_tensors_do_not_multiply_without_end() {
        // Each dictionary holds the next one twice, but is empty when it is put there.
        let nested = |levels: u8| {
            let make = |key: u8| [b"}q", &[key][..]].concat();
            let fill = |key: u8| {
                let inner = [b'h', key + 1, b's'];
                [&[b'h', key][..], b"K\x01", &inner, b"K\x02", &inner].concat()
            };
            let made: Vec<u8> = (0..=levels).flat_map(make).collect();
            let filled: Vec<u8> = (0..levels).flat_map(fill).collect();
            [&made[..], &filled, b"h\0."].concat()
        };
        assert!(layouts(&nested(10)).is_ok());
        assert!(matches!(layouts(&nested(40)), Err(PickleError::Damaged)));
    }

    #[test]
    fn values_nested_without_end_are_refused() {
        let deep = 1_000_000;
        for (start, level, end) in [
            (&b")"[..], &b"\x85"[..], &b""[..]),
            (b"", b"}K\x01", b"s"),
            (b"", b"]", b"a"),
            (b"", b")", b"R"),
            (b"", b"]", b"b"),
            (b")", b"Q", b""),
        ] {
            let nested = [start, &level.repeat(deep), b")", &end.repeat(deep), b"."].concat();
            let refused = layouts(&nested);
            assert!(matches!(refused, Err(PickleError::Damaged)), "{level:?}");
        }
        let itself = b"}q\x00K\x01h\x00s.";
        assert!(matches!(layouts(itself), Err(PickleError::Damaged)));
    }

    #[test]
    fn pickles_of_too_many_values_are_refused() {
        let numbers = [&b"N".repeat(MOST_VALUES)[..], b"."].concat();
        assert!(Machine::run(&numbers[..]).is_ok());
        let more = [b"N", &numbers[..]].concat();
        assert!(matches!(Machine::run(&more[..]), Err(PickleError::Damaged)));
    }
}
