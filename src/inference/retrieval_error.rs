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
    /// One file has names of classes, and the other only numbers.
    #[error(
        "the labels of {} are names, and those of {} are numbers; give names, or numbers, for both",
        names.display(), numbers.display()
    )]
    NamesAndNumbers {
        /// The file whose labels are names.
        names: PathBuf,
        /// The file whose labels are numbers.
        numbers: PathBuf,
    },
    /// A K is larger than the number of rows among which a query is searched.
    #[error(
        "Recall@{k} needs {k} neighbours, but a query is searched among {searched} row(s); give K up to {searched} \
         with --recall"
    )]
    RecallAboveGallery {
        /// The K.
        k: usize,
        /// The most rows among which a query is searched.
        searched: usize,
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
