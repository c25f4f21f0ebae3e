//! Why queries cannot be searched in a gallery.

use std::path::PathBuf;

use thiserror::Error;

/// Queries and gallery do not match.
#[derive(Debug, Error)]
pub enum RetrievalError {
    /// Queries and gallery are the same file.
    #[error(
        "{} is both --embeddings and --gallery, so every row would find itself; omit --gallery to \
         search each row among the others",
        path.display()
    )]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// Queries and gallery have embeddings of different dimensions.
    #[error(
        "embeddings of {} have dimension {queries}, those of {} have {gallery}; embed both with the \
         same network",
        path.display(), gallery_path.display()
    )]
    Dimensions {
        /// The file of the queries.
        path: PathBuf,
        /// The dimension of the queries.
        queries: usize,
        /// The file of the gallery.
        gallery_path: PathBuf,
        /// The dimension of the gallery.
        gallery: usize,
    },
    /// Every query has a class that the gallery lacks.
    #[error(
        "the labels of {} match no other row{}, so nothing could be found; use the same label for \
         images of the same class",
        path.display(), gallery_suffix(gallery)
    )]
    NoQuery {
        /// The file of the queries.
        path: PathBuf,
        /// The file of the gallery, if it is another.
        gallery: Option<PathBuf>,
    },
}

fn gallery_suffix(gallery: &Option<PathBuf>) -> String {
    match gallery {
        Some(path) => format!(" of {}", path.display()),
        None => String::new(),
    }
}
