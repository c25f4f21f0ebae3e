//! The parsers of all file formats as functions of bytes, for the fuzz targets in `fuzz/`.
//!
//! A function returns if the bytes are accepted, and if they are refused with an error whose message is not
//! longer than [`MAXIMUM_MESSAGE_BYTES`]. It panics otherwise. The functions open no files.
//!
//! A format that is added gets a function here, a file in `fuzz/fuzz_targets` with the same name, an entry in
//! `fuzz/Cargo.toml`, and files of a few hundred bytes in `fuzz/corpus`.

use std::path::Path;

use crate::config::Config;
use crate::data;
use crate::embedding_file::{self, Embeddings};
use crate::inference::export::ExportedEmbedder;
use crate::model::weights;
use crate::training::checkpoint::CheckpointFile;

/// The most bytes of an error's message.
const MAXIMUM_MESSAGE_BYTES: usize = 64 * 1024;

/// A configuration in TOML.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let config = Config::parse(text, "fuzz.toml", &[]);
    check_message(config.and_then(|config| config.check()));
}

/// A CSV file: a manifest, and a list of images to embed.
pub fn csv_list(bytes: &[u8]) {
    check_messages(data::fuzzing::csv_list(bytes));
}

/// An IDX file of images or labels, gzipped if it starts as a gzip file.
pub fn idx(bytes: &[u8]) {
    check_messages(data::fuzzing::idx(bytes));
}

/// A MATLAB file.
pub fn mat(bytes: &[u8]) {
    check_messages(data::fuzzing::mat(bytes));
}

/// An image file of any format that is read.
pub fn image(bytes: &[u8]) {
    check_messages(data::fuzzing::image(bytes));
}

/// A file of embeddings: safetensors, Parquet, `.npy` or `.npz`.
pub fn embeddings(bytes: &[u8]) {
    let read = Embeddings::parse(Path::new("fuzz.safetensors"), bytes);
    check_message(read.and_then(|embeddings| embeddings.check_batch(true)));
}

/// A file of the labels of four embeddings: `.npy`, text or CSV.
pub fn labels(bytes: &[u8]) {
    check_message(embedding_file::parse_labels(bytes, 4));
}

/// An exported embedder.
pub fn exported_embedder(bytes: &[u8]) {
    let path = Path::new("fuzz.safetensors");
    check_message(ExportedEmbedder::parse(path, bytes.to_vec()));
}

/// A checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    check_message(CheckpointFile::parse(bytes));
}

/// A safetensors file of weights.
pub fn safetensors_weights(bytes: &[u8]) {
    check_messages(weights::fuzzing::safetensors(bytes));
}

/// A `.pth` file of weights.
pub fn pth(bytes: &[u8]) {
    check_messages(weights::fuzzing::pth(bytes));
}

fn check_message<T>(result: Result<T, impl ToString>) {
    check_messages(result.err().map(|error| error.to_string()));
}

fn check_messages(messages: impl IntoIterator<Item = String>) {
    for message in messages {
        let length = message.len();
        assert!(length <= MAXIMUM_MESSAGE_BYTES, "{length} bytes of message");
    }
}
