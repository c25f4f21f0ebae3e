//! Errors in the layout of a folder dataset.

use std::path::PathBuf;

use thiserror::Error;

/// An error in the layout of a folder dataset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FolderError {
    /// Only one of `train/` and `test/` exists.
    #[error(
        "{} has {found}/ but no {missing}/; add {missing}/ with one folder per class, or put the \
         class folders directly under the root",
        root.display()
    )]
    MissingSplit {
        /// The dataset's root.
        root: PathBuf,
        /// The split that exists.
        found: &'static str,
        /// The split that does not.
        missing: &'static str,
    },
    /// A class folder without an image.
    #[error(
        "class folder {} contains no .jpg, .jpeg or .png image; add at least two, or remove the folder",
        path.display()
    )]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
    },
    /// A folder inside a class folder.
    #[error("{} is a folder inside a class folder; put the images directly under their class", path.display())]
    NestedFolder {
        /// The inner folder.
        path: PathBuf,
    },
    /// An image beside the class folders.
    #[error("image {} is beside the class folders; move it into the folder of its class", path.display())]
    StrayImage {
        /// The image.
        path: PathBuf,
    },
    /// A broken link, a pipe or a device.
    #[error("{} is neither a file nor a folder; repair the link, or remove it", path.display())]
    NotAFile {
        /// The link, pipe or device.
        path: PathBuf,
    },
}
