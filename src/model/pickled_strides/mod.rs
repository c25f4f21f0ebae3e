//! In which order a PyTorch file stores the numbers of its tensors.
//!
//! `torch.save` writes a tensor as a piece of storage with a shape and strides, and keeps the
//! strides of transposed and channels-last tensors: EfficientNet-Lite0's published kernels have
//! TensorFlow's order. burn-store 0.21 reads the storage row by row whatever the strides are
//! (burn's issue 5383), so they are read here, from the pickle in the file. What a pickle *says* is
//! followed only as far as dictionaries and tensors go; nothing in it is ever run.

mod machine;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Seek},
    path::Path,
};

use machine::{Machine, Pickled};
use values::{ComputeContext, DEEPEST, Value, Values};

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
    /// It takes from its stack what it has not put there, or makes more than any checkpoint has.
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

/// Names that are longer together, in bytes, are refused. A pickle may hold the same dictionary many
/// times, and dictionaries of such ones; the names of its tensors multiply with each level.
const LONGEST_NAMES: usize = 1 << 24;

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
        place: ComputeContext,
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
