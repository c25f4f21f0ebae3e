//! What a user can get wrong about data: each message names the file, class or key, and the hint.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A mistake in a dataset, or in a key of the configuration that the data depends on.
///
/// Causes are kept as text, so that an error found by a worker thread can be shown in two places.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataError {
    /// A key of the configuration has a value that cannot be used.
    #[error("`{key} = {value}`: {hint}")]
    Setting {
        /// The dotted key, as in `batch.classes`.
        key: &'static str,
        /// The value found.
        value: String,
        /// What the value has to be.
        hint: String,
    },
    /// The dataset's root is not there.
    #[error("data.root {} is not a folder: {hint}", root.display())]
    RootMissing {
        /// The root as configured.
        root: PathBuf,
        /// Where the dataset is to be had, or what the root has to hold.
        hint: &'static str,
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
         classes are compared: add classes"
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
         images of one class: add images, remove the class, or choose with data.single_image_classes \
         (drop, gallery or repeat)"
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
    #[error("{} is missing: {hint}", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// Where it is to be had.
        hint: &'static str,
    },
    /// A mistake in, or of an image of, a line of a list.
    #[error("{}, {} {line}: {source}", list.display(), entry_of(list))]
    Listed {
        /// The list.
        list: PathBuf,
        /// The line, or the annotation of a MATLAB file, from 1.
        line: usize,
        /// What is wrong there.
        source: Box<DataError>,
    },
    /// A line, or the whole, of a list cannot be used.
    #[error("{reason}")]
    Row {
        /// What is wrong with it, and the hint.
        reason: String,
    },
    /// A list that is not what it should be as a whole.
    #[error("{} {reason}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong with it, and the hint.
        reason: String,
    },
    /// An image that is named twice.
    #[error("{name} is listed again, after line {first}: remove one of the two")]
    ListedTwice {
        /// The image as listed.
        name: String,
        /// The line that names it first.
        first: usize,
    },
    /// An image that a list names and that is not there.
    #[error("image {} is missing: restore it from the archive, or take it off the list", path.display())]
    ImageMissing {
        /// The image.
        path: PathBuf,
    },
    /// Something in a folder of images that is neither a file nor a folder.
    #[error("{} is no file: hint the link, or remove it", path.display())]
    NoFile {
        /// The link that leads nowhere, the pipe or the device.
        path: PathBuf,
    },
    /// An image that is there and that no list names.
    #[error("image {} is in no list, so that it is never used: perhaps it was renamed", path.display())]
    Unlisted {
        /// The image.
        path: PathBuf,
    },
    /// A folder or list without an image to embed.
    #[error(
        "{} names no .jpg, .jpeg or .png image{}: give a folder with images in it or below, or a list \
         of them", path.display(), leftover(*left_out)
    )]
    NoImages {
        /// The folder or list.
        path: PathBuf,
        /// Images that were left out because they cannot be read.
        left_out: usize,
    },
    /// A size that no photograph has.
    #[error("{} has {width} x {height} pixels: {hint}", path.display())]
    AbsurdSize {
        /// The image.
        path: PathBuf,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// What to do about it.
        hint: &'static str,
    },
    /// Two files with the same bytes.
    #[error("{} is a copy of {}{relation}", path.display(), first.display())]
    Duplicate {
        /// The later file.
        path: PathBuf,
        /// The first with these bytes.
        first: PathBuf,
        /// How their classes and splits are related, with the hint.
        relation: &'static str,
    },
    /// A benchmark split of other images than the published one.
    #[error("the {split} split {found}, the published one {published}: {hint}")]
    NotPublished {
        /// `train` or `test`.
        split: &'static str,
        /// What was found.
        found: String,
        /// What was published.
        published: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A test split without a query that could find anything.
    #[error(
        "the test split has no query with a gallery image of its class: check its classes and the \
         columns query and gallery"
    )]
    NoQuery,
    /// Skipped images have left nothing that could be measured.
    #[error(
        "no query of the test split is left that could find anything; {skipped} image(s) were \
         skipped, the last: {last}"
    )]
    NothingMeasured {
        /// How many images were skipped.
        skipped: usize,
        /// What was wrong with the last.
        last: String,
    },
    /// Not one image of a class can be read.
    #[error("no image of class {class} can be read, the last of them: {last}")]
    ClassBroken {
        /// The class.
        class: String,
        /// What was wrong with the last image tried.
        last: String,
    },
    /// The cache of decoded images cannot be made.
    #[error(
        "cannot write the image cache {}: {reason}; free space there, choose another folder with \
         data.cache_dir, or set data.cache to false",
        path.display()
    )]
    CacheUnwritable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// The first of several mistakes.
    #[error("{first}; and {more} more problem(s), which `loop-dml data check` lists")]
    Several {
        /// The first.
        first: Box<DataError>,
        /// How many more there are.
        more: usize,
    },
    /// Something stopped the work that no image is to blame for.
    #[error("interrupted")]
    Cancelled,
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
    /// A class with one image, where the configuration says what becomes of it.
    #[error("class {class} of the {split} split has one image, and {fate}")]
    SingleImageClass {
        /// The class's name.
        class: String,
        /// `train` or `test`.
        split: &'static str,
        /// What becomes of it, with the key that says so.
        fate: &'static str,
    },
    /// A query that nothing can be found for.
    #[error(
        "query {} has no gallery image of its class {class}, so that it can never be answered: add \
         one to the gallery, or take it out of the queries",
        path.display()
    )]
    UnmatchedQuery {
        /// The image.
        path: PathBuf,
        /// Its class.
        class: String,
    },
    /// A contact sheet that cannot get the name it was given.
    #[error("cannot write the contact sheet {}: {reason}", path.display())]
    SheetPath {
        /// The file.
        path: PathBuf,
        /// Why not, and the hint.
        reason: &'static str,
    },
}

impl DataError {
    /// A key whose value cannot be used, and what it has to be.
    pub(super) fn setting(
        key: &'static str,
        value: impl std::fmt::Debug,
        hint: impl Into<String>,
    ) -> Self {
        Self::Setting {
            key,
            value: format!("{value:?}"),
            hint: hint.into(),
        }
    }

    /// The mistake without the line that it comes from.
    pub(super) fn unlocated(&self) -> &Self {
        match self {
            Self::Listed { source, .. } => source.unlocated(),
            other => other,
        }
    }

    /// The mistake as the first of `1 + more`.
    pub(super) fn and_more(self, more: usize) -> Self {
        match more {
            0 => self,
            more => Self::Several {
                first: Box::new(self),
                more,
            },
        }
    }
}

fn leftover(left_out: usize) -> String {
    match left_out {
        0 => String::new(),
        count => format!(" that can be read ({count} cannot)"),
    }
}

/// What the entries of a list are called.
fn entry_of(list: &Path) -> &'static str {
    match list.extension() {
        Some(kind) if kind == "mat" => "annotation",
        _ => "line",
    }
}
