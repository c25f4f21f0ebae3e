//! Why images cannot be searched.

use std::path::PathBuf;

use thiserror::Error;

/// The inputs of a search do not fit together.
#[derive(Debug, Error)]
pub enum SearchError {
    /// There is a network, but no query.
    #[error(
        "there is no query after the network {}; give images, folders, lists, or a file of embeddings",
        network.display()
    )]
    NoQuery {
        /// The network.
        network: PathBuf,
    },
    /// Images are searched without a network.
    #[error(
        "{} is not a file of embeddings, and needs a network to be embedded; give a run or an exported embedder before \
         the queries", path.display()
    )]
    NoNetwork {
        /// The images.
        path: PathBuf,
    },
    /// A file of embeddings is one of several queries.
    #[error(
        "{} is a file of embeddings, and must be the only query; search other images separately", path.display()
    )]
    SeveralQueries {
        /// The file.
        path: PathBuf,
    },
    /// The neighbours do not fit in memory.
    #[error(
        "{k} neighbours of each of {queries} queries need more than 4 GiB of memory; give -k up to {most}, or fewer \
         queries"
    )]
    TooManyNeighbours {
        /// The number of queries.
        queries: usize,
        /// The number of neighbours of each.
        k: usize,
        /// The most neighbours of each that are possible.
        most: usize,
    },
}
