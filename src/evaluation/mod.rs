//! Retrieval measures: pure functions of embeddings and labels.

mod recall;
mod role;

pub use recall::{Recall, nearest_positive_ranks};
pub use role::Role;
