//! Weights in the format safetensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn_store::{ModuleStore, SafetensorsStore};
use serde::Deserialize;

use super::contents::{Contents, Entry, SourceTensor};
use crate::shorten::shorten;

/// The most bytes of a header, a limit of the format.
const MAX_HEADER: u64 = 100_000_000;

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

/// Returns every tensor of the file at `path` by its name. The error is the reason why it cannot be read.
pub(super) fn read_safetensors(path: &Path) -> Result<Contents, String> {
    let tensors = parse_safetensors(SafetensorsStore::from_file(path));
    // The reader does not say which tensor is the reason, or how much of the file is missing.
    tensors.map_err(|error| {
        diagnose(path).unwrap_or_else(|| format!("{}; download or copy it again", shorten(&error)))
    })
}

/// Returns every tensor of a safetensors file by its name. The error is the reader's message.
pub(super) fn parse_safetensors(store: SafetensorsStore) -> Result<Contents, String> {
    // By default the store would rename `branch4.1` to `branch4.0`.
    let mut store = store.map_indices_contiguous(false);
    let tensors = store.get_all_snapshots();
    let tensors = tensors.map_err(|error| error.to_string())?;
    let entry = |tensor: &burn_store::TensorSnapshot| {
        Entry::Tensor(SourceTensor {
            snapshot: tensor.clone(),
            storage: None,
        })
    };
    Ok(tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), entry(tensor)))
        .collect())
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct Description {
    dtype: String,
    data_offsets: [u64; 2],
}

/// Returns what is wrong with the file at `path`, if it is truncated or has a type that is not read.
fn diagnose(path: &Path) -> Option<String> {
    /// The types that are read.
    const TYPES: [&str; 12] = [
        "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U8", "BOOL",
    ];

    let mut file = File::open(path).ok()?;
    let found = file.metadata().ok()?.len();
    let truncated = |needed: u64| {
        format!(
            "it is truncated: its tensors need {needed} bytes, and it has {found}; download or copy \
             it again"
        )
    };
    let mut length = [0; LENGTH];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let start = LENGTH as u64 + length;
    if length > MAX_HEADER {
        return None;
    }
    if start > found {
        return Some(truncated(start));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).ok()?;
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header).ok()?;
    let mut end = 0;
    for (name, description) in header {
        // The metadata is among the tensors.
        let Ok(tensor) = serde_json::from_value::<Description>(description) else {
            continue;
        };
        if !TYPES.contains(&tensor.dtype.as_str()) {
            return Some(format!(
                "its tensor {} has the type {}, which is not read; save it in single precision with \
                 model.float()",
                shorten(&name),
                shorten(&tensor.dtype)
            ));
        }
        end = tensor.data_offsets[1].max(end);
    }
    let needed = start.saturating_add(end);
    (needed > found).then(|| truncated(needed))
}
