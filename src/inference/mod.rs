//! Images to embeddings with a finished network, and the retrieval of what was embedded.
//!
//! [`EmbeddingSource`] is what to embed with: a run, an exported embedder, or pretrained weights
//! alone. [`embed()`] brings a set of images through it, [`retrieval()`] measures files of
//! embeddings.

mod embed;
pub mod embedding_file;
mod error;
pub mod export;
mod loss;
mod retrieval;
mod source;

pub use embed::embed;
pub use error::InferenceError;
pub use loss::{BatchLoss, batch_loss};
pub use retrieval::retrieval;
pub use source::{EmbeddingNetwork, EmbeddingSource, PretrainedBackbone};
