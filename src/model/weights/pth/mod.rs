//! PyTorch's `.pth` files.
//!
//! `torch.save` pickles a state dictionary whose tensors refer to *storages*: arrays of numbers, which
//! are separate entries of a zip archive, or follow the pickle in files from before PyTorch 1.6. A
//! tensor is a shape, strides and an offset into its storage. Transposed and channels-last tensors keep
//! their strides: EfficientNet-Lite0's published kernels have TensorFlow's order. burn-store 0.21 ignores
//! strides (burn's issue 5383), so this module reads the files itself.
//!
//! The pickle is interpreted only as far as dictionaries and tensors need it. It is never executed, and
//! it has limits on the number, the nesting and the names of its values.

mod error;
mod machine;
mod storages;
mod tensor;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::Shape;
use burn_store::{TensorSnapshot, TensorSnapshotError};

use error::PthError;
use machine::{Machine, Pickled};
use storages::{Input, Storages};
use tensor::StridedTensor;
use values::{MAX_DEPTH, Value, ValueId, Values};

/// Returns every tensor of the `.pth` file at `path` by name. Names in nested dictionaries are joined by
/// dots. A tensor's values are read from the file when its data is requested.
///
/// # Errors
/// If the file is not a `.pth` file, is truncated, or exceeds the limits on pickles.
pub(super) fn read_pth(path: &Path) -> Result<BTreeMap<String, TensorSnapshot>, PthError> {
    parse_pth(Box::new(BufReader::new(File::open(path)?)))
}

/// Returns every tensor of a `.pth` file by name.
///
/// # Errors
/// As [`read_pth`].
pub(super) fn parse_pth(input: Input) -> Result<BTreeMap<String, TensorSnapshot>, PthError> {
    let (pickled, storages) = open(input)?;
    let storages = Rc::new(storages);
    let tensors = pickled.tensors()?.into_iter();
    Ok(tensors
        .map(|(name, tensor)| {
            let snapshot = snapshot(name.clone(), tensor, Rc::clone(&storages));
            (name, snapshot)
        })
        .collect())
}

/// The pickle in a file, and its storages.
fn open(mut file: Input) -> Result<(Pickled, Storages), PthError> {
    /// The first bytes of a zip archive.
    const ZIP: &[u8] = b"PK\x03\x04";
    /// The pickle in an archive, in a folder with the archive's name.
    const PICKLE: &str = "/data.pkl";
    /// The pickles in front of an old file's: a magic number, a version and facts about the machine.
    const OLD_PREAMBLE: usize = 3;

    if file.fill_buf()?.starts_with(ZIP) {
        file.rewind()?;
        let mut archive = zip::ZipArchive::new(file)?;
        let name = archive.file_names().find(|name| name.ends_with(PICKLE));
        let name = name.unwrap_or_default().to_string();
        let pickled = Machine::run(BufReader::new(archive.by_name(&name)?))?;
        let folder = name.strip_suffix(PICKLE).unwrap_or_default();
        let storages = Storages::in_archive(archive, folder)?;
        return Ok((pickled, storages));
    }
    for _ in 0..OLD_PREAMBLE {
        Machine::run(&mut file)?;
    }
    let pickled = Machine::run(&mut file)?;
    let keys = Machine::run(&mut file)?;
    let storages = Storages::after_pickles(file, &keys, &pickled.values)?;
    Ok((pickled, storages))
}

fn snapshot(name: String, tensor: Rc<StridedTensor>, storages: Rc<Storages>) -> TensorSnapshot {
    let (dtype, shape) = (tensor.storage.dtype, Shape::from(tensor.shape.clone()));
    let path = vec![name.clone()];
    let read = move || {
        let data = storages.read(&tensor.storage.key);
        data.and_then(|bytes| tensor.contiguous(&bytes))
            .map_err(|error| TensorSnapshotError::DataError(format!("{name}: {error}")))
    };
    TensorSnapshot::from_closure(Rc::new(read), dtype, shape, path, vec![], ParamId::new())
}

/// The limit on the total length of names, in bytes. A pickle may contain the same dictionary many times,
/// and dictionaries of such dictionaries; the names of its tensors multiply with each level.
const MAX_NAMES: usize = 1 << 24;

impl Pickled {
    /// Every tensor by its name.
    fn tensors(&self) -> Result<BTreeMap<String, Rc<StridedTensor>>, PthError> {
        let mut collector = TensorCollector {
            tensors: BTreeMap::new(),
            names: 0,
        };
        collector.collect(&self.values, self.top, "", 0)?;
        Ok(collector.tensors)
    }
}

/// Collects tensors from nested dictionaries.
struct TensorCollector {
    tensors: BTreeMap<String, Rc<StridedTensor>>,
    /// The total length of all names, including those of dictionaries.
    names: usize,
}

impl TensorCollector {
    /// Adds the tensors of the value `id`, which has the name `name` and is inside `depth` dictionaries.
    fn collect(
        &mut self,
        values: &Values,
        id: ValueId,
        name: &str,
        depth: usize,
    ) -> Result<(), PthError> {
        let entries = match values.get(id) {
            Value::Tensor(tensor) => {
                self.tensors.insert(name.to_string(), Rc::clone(tensor));
                return Ok(());
            }
            Value::Dictionary(entries) if depth < MAX_DEPTH => entries,
            Value::Dictionary(_) => return Err(PthError::Damaged),
            _ => return Ok(()),
        };
        for &(key, value) in entries {
            let key = match values.get(key) {
                Value::Text(key) => key.clone(),
                Value::Integer(key) => key.to_string(),
                _ => continue,
            };
            // At least one byte for each entry, even with an empty name.
            self.names += name.len() + 1 + key.len();
            if self.names > MAX_NAMES {
                return Err(PthError::Damaged);
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
