//! Retrieval measures: pure functions of embeddings and labels.

mod recall;

pub use recall::{Recall, nearest_positive_ranks};
