//! Weights in the format safetensors.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::{DType, Shape, TensorData};
use burn_store::{TensorSnapshot, TensorSnapshotError};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::contents::{Contents, Entry, SourceTensor};
use super::pth::Input;
use super::unsupported::UnsupportedTensor;
use crate::shorten::shorten;

/// The most bytes of a header, a limit of the format.
const MAX_HEADER: u64 = 100_000_000;

/// What to do with a damaged file.
const AGAIN: &str = "download or copy it again";

/// The bytes of the length of the header.
const LENGTH: usize = 8;

/// Whether a file that starts with these bytes has a header.
pub(super) fn is_safetensors(start: &[u8]) -> bool {
    match start.split_first_chunk::<LENGTH>() {
        Some((&length, header)) => {
            u64::from_le_bytes(length) <= MAX_HEADER && header.first() == Some(&b'{')
        }
        None => false,
    }
}

/// Whether a safetensors file that starts with these bytes is a checkpoint of a run, by its metadata.
pub(super) fn is_run_checkpoint(start: &[u8]) -> bool {
    const MARKS: [&[u8]; 3] = [b"\"loop-dml\"", b"\\\"epochs\\\":", b"\\\"steps\\\":"];
    let contains = |mark: &&[u8]| start.windows(mark.len()).any(|window| window == *mark);
    MARKS.iter().all(contains)
}

/// Returns every tensor of the file at `path` by its name. A tensor's values are read from the file when its
/// data is requested. The error is the reason why it cannot be read.
pub(super) fn read_safetensors(path: &Path) -> Result<Contents, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    parse_safetensors(Box::new(BufReader::new(file)))
}

/// Returns every tensor of a safetensors file by its name. The error is the reason why it cannot be read.
pub(super) fn parse_safetensors(mut file: Input) -> Result<Contents, String> {
    let found = file.seek(SeekFrom::End(0));
    let found = found.map_err(|error| error.to_string())?;
    let (header, start) = read_header(&mut file, found)?;
    let needed = start.saturating_add(header.data_len() as u64);
    match needed.cmp(&found) {
        Ordering::Greater => return Err(truncated(needed, found)),
        Ordering::Less => {
            return Err(format!(
                "it has {} bytes behind its tensors; {AGAIN}",
                found - needed
            ));
        }
        Ordering::Equal => {}
    }
    let file = Rc::new(RefCell::new(file));
    let tensors = header.tensors().into_iter();
    Ok(tensors
        .map(|(name, info)| {
            let entry = match numbers(info.dtype) {
                Some(dtype) => Entry::Tensor(SourceTensor {
                    snapshot: snapshot(name.clone(), info, dtype, start, Rc::clone(&file)),
                    storage: None,
                    is_nested: false,
                }),
                None => Entry::Unsupported(UnsupportedTensor::Numbers(info.dtype.to_string())),
            };
            (name, entry)
        })
        .collect())
}

/// Returns the header of a file of `found` bytes, and the position of the tensors after it.
fn read_header(file: &mut Input, found: u64) -> Result<(Metadata, u64), String> {
    let failed = |error: io::Error| error.to_string();
    file.rewind().map_err(failed)?;
    let mut length = [0; LENGTH];
    file.read_exact(&mut length)
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => truncated(LENGTH as u64, found),
            _ => failed(error),
        })?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(format!(
            "its header is damaged (it has {length} bytes); {AGAIN}"
        ));
    }
    let start = LENGTH as u64 + length;
    if start > found {
        return Err(truncated(start, found));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let header = serde_json::from_slice(&header).map_err(|error| {
        let error = error.to_string();
        format!("its header is damaged ({}); {AGAIN}", shorten(&error))
    })?;
    Ok((header, start))
}

fn truncated(needed: u64, found: u64) -> String {
    format!("it is truncated: its tensors need {needed} bytes, and it has {found}; {AGAIN}")
}

/// The type of the numbers; `None` if it is not read.
fn numbers(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U8 | Dtype::BOOL => DType::U8,
        _ => return None,
    })
}

/// The tensor `name` of a file whose tensors are after its first `start` bytes.
fn snapshot(
    name: String,
    info: &TensorInfo,
    dtype: DType,
    start: u64,
    file: Rc<RefCell<Input>>,
) -> TensorSnapshot {
    let sides = info.shape.clone();
    let (begin, end) = info.data_offsets;
    let read = move || {
        let failed = |error: io::Error| TensorSnapshotError::IoError(error.to_string());
        // As large as the header says: the length of the file is known.
        let mut bytes = vec![0; end - begin];
        let mut file = file.borrow_mut();
        let position = SeekFrom::Start(start + begin as u64);
        file.seek(position).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        Ok(TensorData::from_bytes_vec(bytes, sides.clone(), dtype))
    };
    let shape = Shape::from(info.shape.clone());
    TensorSnapshot::from_closure(
        Rc::new(read),
        dtype,
        shape,
        vec![name],
        vec![],
        ParamId::new(),
    )
}
