//! What can be wrong with what is embedded or measured, each with its mend.

use std::path::PathBuf;

use thiserror::Error;

/// A mistake about a source of embeddings, or about files of them.
#[derive(Debug, Error)]
pub enum EmbeddingError {
    /// There is neither a run nor a file.
    #[error(
        "there is no {}: give the folder of a run, or a file that `loop-dml export` wrote",
        path.display()
    )]
    NoSource {
        /// What was given.
        path: PathBuf,
    },
    /// A checkpoint was chosen of a file, which holds one.
    #[error("{} is an exported embedder, which holds one checkpoint: leave out --checkpoint", path.display())]
    CheckpointOfFile {
        /// The file.
        path: PathBuf,
    },
    /// Queries and gallery are one file.
    #[error(
        "{} is both --embeddings and --gallery, so that every row would find itself: leave out \
         --gallery, then a row is not looked for in itself",
        path.display()
    )]
    OwnGallery {
        /// The file.
        path: PathBuf,
    },
    /// Queries and gallery have embeddings of different length.
    #[error(
        "embeddings of {} are {queries} numbers long, those of {} {gallery}: embed both with one \
         network",
        path.display(), gallery_path.display()
    )]
    OtherLength {
        /// The file of the queries.
        path: PathBuf,
        /// Their length.
        queries: usize,
        /// The file of the gallery.
        gallery_path: PathBuf,
        /// Its embeddings' length.
        gallery: usize,
    },
    /// No row could find anything.
    #[error(
        "no row of {} has a label that another row{} has, so that nothing could be found: give \
         images of a class the same label",
        path.display(), in_gallery(gallery)
    )]
    NoQuery {
        /// The file of the queries.
        path: PathBuf,
        /// The file of the gallery, if it is another.
        gallery: Option<PathBuf>,
    },
}

fn in_gallery(gallery: &Option<PathBuf>) -> String {
    match gallery {
        Some(path) => format!(" of {}", path.display()),
        None => String::new(),
    }
}
