//! The file of a checkpoint: safetensors with a header in its metadata.
//!
//! One file has the network, the state of the optimiser and the position in the training, so they always
//! belong together. Two runs with one seed on one machine write equal bytes.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CheckpointPosition;
use crate::hex::hex;
use crate::training::epoch_statistics::EpochStatistics;

/// The key of the header in the metadata.
const METADATA_KEY: &str = "loop-dml";

/// The format that is written, and the only one that is read.
const FORMAT: u64 = 1;

/// What a checkpoint contains besides tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    format: u64,
    /// The version that wrote the file.
    pub loop_dml: String,
    /// Number of complete epochs.
    epochs: usize,
    /// Number of steps taken after the last complete epoch.
    steps: usize,
    /// The statistics of those steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<EpochStatistics>,
    /// Number of updates that Adam has made of each parameter, by name.
    pub updates: BTreeMap<String, usize>,
    /// The configuration, without the keys that may change when a run is resumed.
    pub config: String,
    /// A hash of the metrics of the complete epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// SHA-256 in hexadecimal of the tensors and of the header without this field.
    #[serde(default)]
    sha256: String,
}

impl CheckpointHeader {
    /// The header of a checkpoint at `position`.
    pub fn new(position: CheckpointPosition, config: String) -> Self {
        Self {
            format: FORMAT,
            loop_dml: env!("CARGO_PKG_VERSION").to_string(),
            epochs: position.complete_epochs(),
            steps: position.steps(),
            statistics: None,
            updates: BTreeMap::new(),
            config,
            history: None,
            sha256: String::new(),
        }
    }

    /// The position in the training.
    pub fn position(&self) -> CheckpointPosition {
        CheckpointPosition::within(self.epochs.saturating_add(1), self.steps)
    }
}

/// A tensor of single precision in a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// The shape.
    pub shape: Vec<usize>,
    /// The values, little-endian.
    pub bytes: Vec<u8>,
}

/// The contents of a checkpoint file.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointFile {
    /// What it contains besides tensors.
    pub header: CheckpointHeader,
    /// The tensors by name, the network's below `model.` and Adam's moments below `optimizer.`.
    pub tensors: BTreeMap<String, StoredTensor>,
}

impl CheckpointFile {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.sha256 = self.digest();
        let header = serde_json::to_string(&header).expect("a header is plain data");
        let metadata = HashMap::from([(METADATA_KEY.to_string(), header)]);
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("shape and values match"))
        });
        serialize(views, Some(metadata)).expect("the header is within the limits of safetensors")
    }

    /// Parses the bytes of a file, and compares the checksum.
    ///
    /// # Errors
    /// The reason why the file is not a complete checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|_| "it is truncated, or its header is damaged".to_string())?;
        let file = SafeTensors::deserialize(bytes)
            .map_err(|_| "it is truncated, or its header is damaged".to_string())?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(METADATA_KEY))
            .ok_or("it is not a checkpoint of loop-dml")?;
        let header: CheckpointHeader = serde_json::from_str(header)
            .map_err(|_| "its header is damaged, or of a later version".to_string())?;
        if header.format != FORMAT {
            return Err(format!(
                "it has format {}, written by loop-dml {}, and this version reads format {FORMAT}",
                header.format, header.loop_dml
            ));
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {name:?} is not f32"));
            }
            let tensor = StoredTensor {
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            tensors.insert(name.to_string(), tensor);
        }
        let file = Self { header, tensors };
        if file.digest() != file.header.sha256 {
            return Err("its checksum differs from its contents".to_string());
        }
        Ok(file)
    }

    /// SHA-256 of everything but the checksum.
    fn digest(&self) -> String {
        let mut header = self.header.clone();
        header.sha256.clear();
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&header).expect("a header is plain data"));
        for (name, tensor) in &self.tensors {
            hash.update(format!("\n{name:?} {:?}\n", tensor.shape));
            hash.update(&tensor.bytes);
        }
        hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> CheckpointFile {
        let mut header = CheckpointHeader::new(CheckpointPosition::within(3, 2), "[model]".into());
        header.updates.insert("head.weight".into(), 7);
        let tensor = |value: f32, count: usize| StoredTensor {
            shape: vec![count],
            bytes: value.to_le_bytes().repeat(count),
        };
        CheckpointFile {
            header,
            tensors: BTreeMap::from([
                ("model.head.weight".to_string(), tensor(0.1, 3)),
                ("model.head.bias".to_string(), tensor(f32::MIN_POSITIVE, 2)),
            ]),
        }
    }

    #[test]
    fn file_is_read_back_and_its_bytes_are_deterministic() {
        let bytes = checkpoint().to_bytes();
        assert_eq!(bytes, checkpoint().to_bytes());
        let mut read = CheckpointFile::parse(&bytes).unwrap();
        assert_eq!(read.header.position(), CheckpointPosition::within(3, 2));
        read.header.sha256.clear();
        assert_eq!(read, checkpoint());
    }

    #[test]
    fn each_flipped_bit_and_each_truncation_is_detected() {
        let bytes = checkpoint().to_bytes();
        for position in 0..bytes.len() {
            assert!(CheckpointFile::parse(&bytes[..position]).is_err());
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[position] ^= 1 << bit;
                let parsed = CheckpointFile::parse(&damaged);
                // White space in the JSON of the header may change without a change of its meaning.
                let same = parsed.as_ref().is_ok_and(|file| {
                    file.tensors == checkpoint().tensors && file.to_bytes() == bytes
                });
                assert!(parsed.is_err() || same, "byte {position}, bit {bit}");
            }
        }
    }
}
