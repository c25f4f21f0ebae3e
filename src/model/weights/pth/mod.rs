//! PyTorch's `.pth` files.
//!
//! `torch.save` pickles a state dictionary whose tensors refer to *storages*: arrays of numbers, which
//! are separate entries of a zip archive, or follow the pickle in files from before PyTorch 1.6. A
//! tensor is a shape, strides and an offset into its storage. Transposed and channels-last tensors keep
//! their strides: EfficientNet-Lite0's published kernels have TensorFlow's order. burn-store 0.21 ignores
//! strides (burn's issue 5383), so this module reads the files itself.
//!
//! The pickle is interpreted only as far as dictionaries and tensors need it. It is never executed: objects
//! beside the tensors, such as an optimizer's settings, are only named. It has limits on the number, the
//! nesting and the names of its values.

mod collect;
mod error;
mod globals;
mod machine;
mod reader;
mod stack;
mod storages;
mod tensor;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
pub(in crate::model) mod writer;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::Shape;
use burn_store::{TensorSnapshot, TensorSnapshotError};
use zip::ZipArchive;

use super::contents::{Contents, Entry, SourceTensor};
use crate::shorten::shorten;
use collect::Named;
use error::PthError;
use machine::{Machine, Pickled};
pub(super) use storages::Input;
use storages::Storages;
use tensor::StridedTensor;
use values::Value;

/// Returns every tensor and object of the `.pth` file at `path` by name. Names in nested dictionaries are
/// joined by dots. A tensor's values are read from the file when its data is requested.
///
/// # Errors
/// If the file is not a `.pth` file, is a whole pickled model, is truncated, or exceeds the limits on pickles.
pub(super) fn read_pth(path: &Path) -> Result<Contents, PthError> {
    parse_pth(Box::new(BufReader::new(File::open(path)?)))
}

/// Returns every tensor and object of a `.pth` file by name.
///
/// # Errors
/// As [`read_pth`].
pub(super) fn parse_pth(input: Input) -> Result<Contents, PthError> {
    let (pickled, storages) = open(input)?;
    let storages = Rc::new(storages);
    let dictionaries = pickled.dictionary_keys();
    let is_nested = |name: &str| {
        let key = name.split_once('.');
        key.is_some_and(|(key, _)| dictionaries.contains(key))
    };
    let named = pickled.named()?.into_iter();
    Ok(named
        .map(|(name, found)| {
            let entry = match found {
                Named::Tensor(tensor) => Entry::Tensor(SourceTensor {
                    storage: Some(tensor.place()),
                    is_nested: is_nested(&name),
                    snapshot: snapshot(name.clone(), tensor, Rc::clone(&storages)),
                }),
                Named::Unsupported(kind) => Entry::Unsupported(kind),
            };
            (name, entry)
        })
        .collect())
}

/// Whether a file that starts with these bytes is a zip archive or a pickle.
pub(super) fn is_pth(start: &[u8]) -> bool {
    // A pickle of protocol 2 or later, or PyTorch's magic number in protocol 0 or 1.
    start.starts_with(ZIP) || matches!(start, [0x80, 2..=5, ..]) || start.starts_with(OLD_MAGIC)
}

/// PyTorch's magic number in decimal digits.
const OLD_MAGIC: &[u8] = b"L119547037146038801333356L";

/// The first bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";

/// The pickle in a file, and its storages.
fn open(mut file: Input) -> Result<(Pickled, Storages), PthError> {
    match file.fill_buf()?.starts_with(ZIP) {
        true => open_archive(file),
        false => open_legacy(file),
    }
}

/// Opens an archive, as PyTorch writes it from version 1.6 on.
fn open_archive(mut file: Input) -> Result<(Pickled, Storages), PthError> {
    /// The pickle in an archive, in a folder with the archive's name.
    const PICKLE: &str = "/data.pkl";
    /// The constants of a TorchScript program.
    const CONSTANTS: &str = "/constants.pkl";
    /// The end of the name of an array.
    const NUMPY: &str = ".npy";

    file.rewind()?;
    let mut archive = ZipArchive::new(file)?;
    if archive.file_names().any(|name| name.ends_with(CONSTANTS)) {
        return Err(PthError::TorchScript);
    }
    let name = archive.file_names().find(|name| name.ends_with(PICKLE));
    let Some(name) = name.map(str::to_string) else {
        let first = archive.file_names().next().unwrap_or_default();
        return Err(match first.ends_with(NUMPY) {
            true => PthError::NumpyArchive,
            false => PthError::OtherArchive(first.to_string()),
        });
    };
    let pickled = Machine::run(BufReader::new(archive.by_name(&name)?))?;
    let folder = name.strip_suffix(PICKLE).unwrap_or_default();
    let storages = Storages::in_archive(archive, folder)?;
    Ok((pickled, storages))
}

/// Opens pickles with storages behind them, as PyTorch wrote them before version 1.6: a magic number, a
/// version, facts about the machine, the pickle, and the names of the storages.
fn open_legacy(mut file: Input) -> Result<(Pickled, Storages), PthError> {
    /// The magic number, 0x1950a86a20f9469cfc6c, as a pickle has it.
    const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";
    /// The number of the first bytes that contain it, with the instructions before it.
    const PREAMBLE: usize = 32;

    let start = file.fill_buf()?;
    let start = &start[..start.len().min(PREAMBLE)];
    let is_magic = start.windows(MAGIC.len()).any(|window| window == MAGIC);
    if !is_magic && !start.starts_with(OLD_MAGIC) {
        return Err(PthError::OtherPickle);
    }
    let _magic = Machine::run(&mut file)?;
    let _version = Machine::run(&mut file)?;
    if Machine::run(&mut file)?.is_big_endian() {
        return Err(PthError::BigEndian);
    }
    let pickled = Machine::run(&mut file)?;
    let keys = Machine::run(&mut file)?;
    let storages = Storages::after_pickles(file, &keys, &pickled.values)?;
    Ok((pickled, storages))
}

impl Pickled {
    /// Whether these facts about a machine have the byte order that is not read.
    fn is_big_endian(&self) -> bool {
        const LITTLE_ENDIAN: &str = "little_endian";
        let Value::Dictionary(facts) = self.values.get(self.top) else {
            return false;
        };
        facts.iter().any(|&(key, value)| {
            matches!(self.values.get(key), Value::Text(key) if key == LITTLE_ENDIAN)
                && matches!(self.values.get(value), Value::Boolean(false))
        })
    }
}

fn snapshot(name: String, tensor: Rc<StridedTensor>, storages: Rc<Storages>) -> TensorSnapshot {
    let (dtype, shape) = (tensor.dtype, Shape::from(tensor.shape.clone()));
    let path = vec![name.clone()];
    let read = move || {
        let data = storages.read(&tensor.storage);
        data.and_then(|bytes| tensor.contiguous(&bytes))
            .map_err(|error| TensorSnapshotError::DataError(format!("{}: {error}", shorten(&name))))
    };
    TensorSnapshot::from_closure(Rc::new(read), dtype, shape, path, vec![], ParamId::new())
}
