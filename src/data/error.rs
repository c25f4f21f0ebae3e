//! What a user can get wrong about data: each message names the file, class or key, and the mend.

use std::path::PathBuf;

use thiserror::Error;

/// A mistake in a dataset, or in a key of the configuration that the data depends on.
///
/// Causes are kept as text, so that an error found by a worker thread can be shown in two places.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataError {
    /// A key of the configuration has a value that cannot be used.
    #[error("`{key} = {value}`: {mend}")]
    Setting {
        /// The dotted key, as in `batch.classes`.
        key: &'static str,
        /// The value found.
        value: String,
        /// What the value has to be.
        mend: String,
    },
    /// The dataset's root is not there.
    #[error("data.root {} is not a folder: {mend}", root.display())]
    RootMissing {
        /// The root as configured.
        root: PathBuf,
        /// Where the dataset is to be had, or what the root has to hold.
        mend: &'static str,
    },
    /// One of `train/` and `test/` is there, the other is not.
    #[error(
        "{} has {found}/ but no {missing}/: add {missing}/ with one folder per class, or put the \
         class folders directly under the root",
        root.display()
    )]
    MissingSplit {
        /// The dataset's root.
        root: PathBuf,
        /// The split that is there.
        found: &'static str,
        /// The split that is not.
        missing: &'static str,
    },
    /// A split, or the set that is to be halved, has too few classes.
    #[error(
        "{what} has {found} class(es) and needs at least {needed}, since images of different \
         classes are compared: add class folders"
    )]
    TooFewClasses {
        /// The folder or split.
        what: String,
        /// Classes found.
        found: usize,
        /// Classes needed.
        needed: usize,
    },
    /// A class folder without an image.
    #[error("class folder {} holds no .jpg, .jpeg or .png image: add at least two or remove the folder", path.display())]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
    },
    /// A class with fewer than two images: one has nothing of its own class to be compared with.
    #[error(
        "class {class} of the {split} split has {found} image(s), and two are needed to compare \
         images of one class: add images or remove the class"
    )]
    TooFewImages {
        /// The class's name.
        class: String,
        /// `train` or `test`.
        split: &'static str,
        /// Images found, 0 or 1.
        found: usize,
    },
    /// A class of both splits; zero-shot retrieval tests on classes never seen in training.
    #[error(
        "class {class} is in both the training and the test split; the test classes must never \
         occur in training: remove it from one of them"
    )]
    ClassInBothSplits {
        /// The class's name.
        class: String,
    },
    /// Folders inside a class folder.
    #[error("{} is a folder inside a class folder: put the images directly under their class", path.display())]
    NestedFolder {
        /// The inner folder.
        path: PathBuf,
    },
    /// An image beside the class folders.
    #[error("image {} lies beside the class folders: move it into the folder of its class", path.display())]
    StrayImage {
        /// The image.
        path: PathBuf,
    },
    /// A file or folder that the operating system does not let us read.
    #[error("cannot read {}: {reason}; check that it exists and its permissions", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// An image of a kind that is not read.
    #[error("{} is {found}, which is not supported: convert it to JPEG or PNG, or remove it", path.display())]
    UnsupportedImage {
        /// The image.
        path: PathBuf,
        /// What it is, with an article.
        found: String,
    },
    /// A file that ends before its contents do.
    #[error("{} is cut off, it ends before its contents do: copy or download it again, or remove it", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not the image it should be.
    #[error("{} cannot be decoded ({reason}): replace or remove it", path.display())]
    BrokenImage {
        /// The image.
        path: PathBuf,
        /// The decoder's words.
        reason: String,
    },
    /// A file of the dataset is not there.
    #[error("{} is missing, with or without .gz: {mend}", path.display())]
    FileMissing {
        /// The file, without `.gz`.
        path: PathBuf,
        /// Where it is to be had.
        mend: &'static str,
    },
    /// An IDX file that starts with another number than its kind does.
    #[error(
        "{} starts with {found:#010x} instead of {expected:#010x}, so it is no IDX file of {kind}: \
         download it again and check that the four files have not been swapped",
        path.display()
    )]
    IdxMagic {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        kind: &'static str,
        /// The number of an IDX file of this kind.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// An IDX file of another length than its header states.
    #[error(
        "{} holds {found} bytes where its header states {expected}: download it again",
        path.display()
    )]
    IdxLength {
        /// The file.
        path: PathBuf,
        /// Bytes by the header, after decompression.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// An IDX file of images and its file of labels are not of the same set.
    #[error(
        "{} holds {images} images but {} holds {labels} labels: take both from the same release",
        image_path.display(), label_path.display()
    )]
    IdxCount {
        /// The file of images.
        image_path: PathBuf,
        /// The file of labels.
        label_path: PathBuf,
        /// Its images.
        images: usize,
        /// Its labels.
        labels: usize,
    },
}

impl DataError {
    /// A key whose value cannot be used, and what it has to be.
    pub(super) fn setting(
        key: &'static str,
        value: impl std::fmt::Debug,
        mend: impl Into<String>,
    ) -> Self {
        Self::Setting {
            key,
            value: format!("{value:?}"),
            mend: mend.into(),
        }
    }
}
