//! Errors in the layout of a folder dataset.

use std::path::PathBuf;

use thiserror::Error;

use crate::escape::path_with_bytes;

/// An error in the layout of a folder dataset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FolderError {
    /// Only one of `train/` and `test/` exists.
    #[error("{} has {found}/ but no {missing}/; {hint}", root.display())]
    MissingSplit {
        /// The dataset's root.
        root: PathBuf,
        /// The split that exists.
        found: &'static str,
        /// The split that does not.
        missing: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// The folders of the splits have other names than `train` and `test`.
    #[error("{} has {found} instead of train/ and test/; rename the folders", root.display())]
    SplitNames {
        /// The dataset's root.
        root: PathBuf,
        /// The names of the folders.
        found: String,
    },
    /// Another folder is the dataset's root.
    #[error("{} {reason}; did you mean --root {}?", root.display(), suggestion.display())]
    WrongRoot {
        /// The dataset's root as configured.
        root: PathBuf,
        /// What it contains.
        reason: &'static str,
        /// The probable root.
        suggestion: PathBuf,
    },
    /// The root contains images, and no class folder.
    #[error(
        "{} contains {images} image(s) and no class folders; put the images of each class into a folder in \
         it, or give the folder above",
        root.display()
    )]
    NoClassFolders {
        /// The dataset's root.
        root: PathBuf,
        /// Number of images directly in it.
        images: usize,
    },
    /// The root is one of the splits of the folder above it.
    #[error(
        "{} is one of the two splits of {}, and its classes are divided again; did you mean --root {1}?",
        root.display(), parent.display()
    )]
    RootIsSplit {
        /// The dataset's root.
        root: PathBuf,
        /// The folder with `train/` and `test/`.
        parent: PathBuf,
    },
    /// A folder beside `train/` and `test/` that contains images.
    #[error(
        "{} is beside train/ and test/, so its {images} image(s) are never used; {hint}",
        path.display()
    )]
    UnusedFolder {
        /// The folder.
        path: PathBuf,
        /// Number of images in it and below.
        images: usize,
        /// What to do about it.
        hint: &'static str,
    },
    /// An image beside `train/` and `test/`.
    #[error(
        "image {} is beside train/ and test/, so it is never used; move it into the folder of its class",
        path.display()
    )]
    UnusedImage {
        /// The image.
        path: PathBuf,
    },
    /// A class folder without an image.
    #[error(
        "class folder {} contains no image; add at least two, or remove the folder",
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
    /// A class or an image whose name is not UTF-8. Names are written to files of text.
    #[error(
        "the name {} is not UTF-8 (other bytes are shown as \\x…); rename it, for example with convmv",
        path_with_bytes(path)
    )]
    NotUtf8 {
        /// The folder or image.
        path: PathBuf,
    },
}
