//! Inference: from images to embeddings with a trained network, and retrieval with embeddings.
//!
//! An [`EmbeddingSource`] is the network: a run, an exported embedder, or a pretrained backbone.
//! [`embed()`] embeds a set of images with it, [`embed_features()`] a file of features,
//! [`retrieval()`] measures embeddings from files, and [`search`] finds the nearest images.
//! [`duplicates`] finds near duplicates and likely mislabelled images. [`export_run()`] writes the embedder of
//! a run to a file ([`export`]). [`batch_loss`] computes a loss of embeddings from a file.

pub mod duplicates;
mod embed;
mod embed_features;
mod error;
pub mod export;
mod export_run;
#[cfg(feature = "index")]
mod index_error;
mod loss;
mod retrieval;
mod retrieval_error;
pub mod search;
mod search_error;
mod source;

pub use embed::{embed, embed_with};
pub use embed_features::embed_features;
pub use error::InferenceError;
pub use export_run::export_run;
#[cfg(feature = "index")]
pub use index_error::IndexError;
pub use loss::{BatchLoss, batch_loss};
pub use retrieval::{RetrievalResult, retrieval, searched_rows};
pub use retrieval_error::RetrievalError;
pub use search_error::SearchError;
pub use source::{EmbeddingNetwork, EmbeddingSource, PretrainedBackbone};
