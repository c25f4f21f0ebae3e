//! A trained embedder as one self-contained safetensors file.
//!
//! An embedder that is read from the file embeds images exactly as the evaluation in training did.
//!
//! Tensors have PyTorch's names and order of axes: `backbone.` and the name in the original network
//! (`backbone.conv1.conv.weight`, `[C_out, C_in, k, k]`), then the head (`head.weight`,
//! `[D, features]`). The metadata has the network and its preprocessing as JSON under `loop-dml`
//! ([`ExportHeader`]). `NAME.json` beside `NAME.safetensors` describes the same for people and other
//! programs.

mod description;
mod error;
mod header;
mod read;
mod tensors;
#[cfg(test)]
mod tests;
mod write;

pub use error::ExportError;
pub use header::{EpochMetrics, ExportHeader, Preprocessing};
pub use read::ExportedEmbedder;
pub use write::ExportOutput;
