//! Images to embeddings with a finished network, and the retrieval of what was embedded.
//!
//! [`EmbeddingSource`] is what to embed with: a run, an exported embedder, or pretrained weights
//! alone. [`embed()`] brings a set of images through it, [`retrieval()`] measures files of
//! embeddings.

mod embed;
mod error;
mod retrieval;
mod source;

pub use embed::{Progress, embed};
pub use error::EmbeddingError;
pub use retrieval::retrieval;
pub use source::{EmbeddingNetwork, EmbeddingSource, PretrainedBackbone};
