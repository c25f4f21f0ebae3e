//! Negatives strategies: a batch of embeddings and labels becomes [`Comparisons`], which every loss
//! takes.
//!
//! Each strategy has its own file. All work is done on the device, without a loop over anchors.

mod comparisons;
mod config;
mod embedding_expansion;
mod loop_;
mod none;
mod space;
mod strategy;

pub use comparisons::Comparisons;
pub use config::{EmbeddingExpansionConfig, LoopConfig, NegativesConfig};
pub use loop_::{LoopAnchors, LoopNegatives, LoopPairs};
pub use space::Space;
pub use strategy::Negatives;
