//! Why a split cannot be trained on or measured.

use std::path::PathBuf;

use thiserror::Error;

/// Why the classes or queries of a split cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SplitError {
    /// A split, or a set that must be divided into splits, has too few classes.
    #[error(
        "{what} has {found} class(es) and needs at least {needed}, since images of different \
         classes are compared; add classes"
    )]
    TooFewClasses {
        /// The folder or split.
        what: String,
        /// Classes found.
        found: usize,
        /// Classes needed.
        needed: usize,
    },
    /// A class has fewer than two images, so it has no positive pair.
    #[error(
        "class {class} of the {} split has {found} image(s), and two are needed to compare images of \
         one class; add images, remove the class, or choose with data.single_image_classes (drop, \
         gallery or, unless they are features, repeat)",
        in_prose(split)
    )]
    TooFewImages {
        /// The class's name.
        class: String,
        /// `train` or `test`.
        split: &'static str,
        /// Images found, 0 or 1.
        found: usize,
    },
    /// A class has one image, and the configuration says how to treat it.
    #[error(
        "class {class} of the {} split has one image, and {treatment}",
        in_prose(split)
    )]
    SingleImageClass {
        /// The class's name.
        class: String,
        /// `train` or `test`.
        split: &'static str,
        /// How the class is treated, with the key that says so.
        treatment: &'static str,
    },
    /// A class is in both splits. Zero-shot retrieval tests on classes never seen in training.
    #[error(
        "class {class} is in both the training and the test split; the test classes must never \
         occur in training; remove it from one of them"
    )]
    ClassInBothSplits {
        /// The class's name.
        class: String,
    },
    /// The names of two classes are nearly the same.
    #[error(
        "classes {first} and {second} differ only in {difference}; if they are one class, give them the same \
         name"
    )]
    SimilarClasses {
        /// The name of the first and its split.
        first: String,
        /// The name of the second and its split.
        second: String,
        /// How they differ.
        difference: String,
    },
    /// The training classes are too few to hold some out for validation, or too many are held out.
    #[error(
        "`{choice}` leaves {train} of the {classes} training classes for training and {validation} for \
         validation ({eligible} have the two images that validation needs), and each needs at least 2; \
         add classes, change how many are held out, or train on all of them and choose the best epoch on \
         the test split with evaluation.protocol = \"published\""
    )]
    TooFewToHoldOut {
        /// Training classes before any is held out.
        classes: usize,
        /// Those with two or more images.
        eligible: usize,
        /// The key that says how many are held out, with its value.
        choice: String,
        /// Classes that would validate.
        validation: usize,
        /// Classes that would train.
        train: usize,
    },
    /// Fewer classes remain for training than a batch has.
    #[error(
        "`batch.classes = {batch_classes}`: `{choice}` leaves {train} of the {classes} training classes for \
         training and {validation} for validation, and the classes of a batch are distinct; give {train} \
         or less, hold out fewer classes, or train on all of them and choose the best epoch on the test \
         split with evaluation.protocol = \"published\""
    )]
    TooFewForBatch {
        /// Classes of a batch.
        batch_classes: usize,
        /// Training classes before any is held out.
        classes: usize,
        /// The key that says how many are held out, with its value.
        choice: String,
        /// Classes that would validate.
        validation: usize,
        /// Classes that would train.
        train: usize,
    },
    /// No query of a split has a gallery image of its class.
    #[error(
        "the {split} split has no query with a gallery image of its class; check its classes and the \
         columns query and gallery"
    )]
    NoQuery {
        /// `validation` or `test`, or `evaluated` if it may be either.
        split: &'static str,
    },
    /// A query has no gallery image of its class.
    #[error(
        "query {} has no gallery image of its class {class}, so Recall@K does not count it; add one to \
         the gallery, or remove it from the queries",
        path.display()
    )]
    UnmatchedQuery {
        /// The image.
        path: PathBuf,
        /// Its class.
        class: String,
    },
}

/// Returns the adjective for the split `name`: `training` for `train`, else the name.
pub(in crate::data) fn in_prose(name: &str) -> &str {
    match name {
        "train" => "training",
        name => name,
    }
}
