//! Retrieval metrics: functions of embeddings and labels.

mod ranks;
mod recall;
mod role;

pub use ranks::{nearest_positive_ranks, nearest_positive_ranks_monitored};
pub use recall::Recall;
pub use role::{Role, searched_images};
