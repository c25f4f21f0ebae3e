//! Retrieval metrics: functions of embeddings and labels.

mod clustering;
mod distance_statistics;
mod intervals;
mod measures;
mod neighbours;
mod ranking;
mod recall;
mod role;
mod shared_queries;
mod split_measures;
mod tiles;
mod vectors;

pub use clustering::{ClusterAgreement, Clustering, KMeans};
pub use distance_statistics::DistanceStatistics;
pub use intervals::{Resampling, mean_interval};
pub use measures::{QueryMeasures, RetrievalMeasures};
pub use neighbours::{Neighbour, NeighbourSearch, nearest_neighbours};
pub use ranking::{measure_queries, nearest_positive_ranks, nearest_positive_ranks_monitored};
pub use recall::Recall;
pub use role::{Role, searched_images};
pub use split_measures::{
    ClusteringMeasures, ClusteringOptions, MeasureOptions, RetrievalIntervals, SplitMeasures,
};
pub(crate) use vectors::squared_distance;
