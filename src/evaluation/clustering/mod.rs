//! Clusters of embeddings, and how well they agree with the classes.

mod agreement;
mod assignment;
mod k_means;
mod seeding;
#[cfg(test)]
mod tests;

pub use agreement::ClusterAgreement;
pub use k_means::{Clustering, KMeans};
