//! What was published of the benchmark splits, to tell whether the images on disk are they.
//!
//! Counts are those of the papers' tables; a digest stands for the list itself, image for image.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use crate::data::DataError;
use crate::data::config::PublishedConfig;

/// The published split of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    /// What trains.
    pub(crate) train: PublishedSubset,
    /// What tests.
    pub(crate) test: PublishedSubset,
}

/// One subset of a published split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublishedSubset {
    /// Number of images.
    pub(crate) images: usize,
    /// Number of classes.
    pub(crate) classes: usize,
    /// SHA-256 of the list, as [`digest`] computes it; none where the images' names are not known.
    pub(crate) digest: Option<&'static str>,
}

/// Cars196 in one folder, `car_ims/`.
pub(super) const CARS196: Published = Published {
    train: PublishedSubset {
        images: 8_054,
        classes: 98,
        digest: Some("86d5ece3539932cc3193468cca10ed9c0e6b3063c0f49c560eb3af7059c2f240"),
    },
    test: PublishedSubset {
        images: 8_131,
        classes: 98,
        digest: Some("c8f8473369609de3f4ac095d0191510fbd90e89b1f39b33633527e13c270288b"),
    },
};

/// Cars196 in `cars_train/` and `cars_test/`, which number the same images anew.
pub(super) const CARS196_TWO_FOLDERS: Published = Published {
    train: PublishedSubset {
        digest: None,
        ..CARS196.train
    },
    test: PublishedSubset {
        digest: None,
        ..CARS196.test
    },
};

/// CUB-200-2011.
pub(super) const CUB200: Published = Published {
    train: PublishedSubset {
        images: 5_864,
        classes: 100,
        digest: Some("aefd20de393244a35a4efd948fe454848b3c7e604f44acc6c4fba7ad7b77b9b3"),
    },
    test: PublishedSubset {
        images: 5_924,
        classes: 100,
        digest: Some("8054e7453cc2a0e10344630d3736d06e959d9ed18cff49f42cbd5b7975e81244"),
    },
};

/// Stanford Online Products.
pub(super) const SOP: Published = Published {
    train: PublishedSubset {
        images: 59_551,
        classes: 11_318,
        digest: Some("3c3fd6ca2f2cced8585a21467c957269de0fc62b5c9d301985a4333538cdeaff"),
    },
    test: PublishedSubset {
        images: 60_502,
        classes: 11_316,
        digest: Some("038349447184b20f6c47b419450582777e05022721560da1c7302937ee698bb1"),
    },
};

/// In-Shop Clothes; of the test images 14,218 are queries and 12,612 are the gallery.
pub(super) const IN_SHOP: Published = Published {
    train: PublishedSubset {
        images: 25_882,
        classes: 3_997,
        digest: None,
    },
    test: PublishedSubset {
        images: 26_830,
        classes: 3_985,
        digest: None,
    },
};

/// The configured root of a benchmark; `hint` says what it has to hold.
///
/// # Errors
/// [`DataError::RootMissing`] when it is no folder.
pub(super) fn root<'a>(
    config: &'a PublishedConfig,
    hint: &'static str,
) -> Result<&'a Path, DataError> {
    match config.root.is_dir() {
        true => Ok(&config.root),
        false => Err(DataError::RootMissing {
            root: config.root.clone(),
            hint,
        }),
    }
}

/// What differs from the published split, if there is one: at most one [`DataError::NotPublished`]
/// for each subset.
pub(crate) fn compare(index: &DatasetIndex) -> Vec<DataError> {
    let Some(published) = index.published else {
        return Vec::new();
    };
    [
        (Subset::Train, published.train),
        (Subset::Test, published.test),
    ]
    .into_iter()
    .filter_map(|(subset, published)| compare_side(index.subset(subset), subset, published))
    .collect()
}

fn compare_side(
    classes: &[ClassEntries],
    subset: Subset,
    published: PublishedSubset,
) -> Option<DataError> {
    let images = classes.iter().map(|class| class.images.len()).sum();
    if (images, classes.len()) != (published.images, published.classes) {
        return Some(DataError::NotPublished {
            split: subset.name(),
            found: format!("has {images} image(s) of {} class(es)", classes.len()),
            published: format!("{} of {}", published.images, published.classes),
            hint: "restore the lists and images from the archive, or its measures cannot be compared \
                   with published ones",
        });
    }
    let (expected, found) = (published.digest?, digest(classes));
    (found != expected).then(|| DataError::NotPublished {
        split: subset.name(),
        found: format!("is the list of SHA-256 {found}"),
        published: expected.into(),
        hint: "there are as many images and classes, but some image has another name or class; \
               restore the lists and images from the archive",
    })
}

/// SHA-256, in hexadecimal digits, of the lines `NAME⇥LABEL⏎` sorted by their bytes, where a label is
/// the place of the image's class among `classes`, from 0.
pub(crate) fn digest(classes: &[ClassEntries]) -> String {
    let mut lines: Vec<String> = classes
        .iter()
        .enumerate()
        .flat_map(|(label, class)| {
            let line = move |image: &Entry| format!("{}\t{label}\n", image.name);
            class.images.iter().map(line)
        })
        .collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Role;

    fn classes(names: [&[&str]; 2]) -> Vec<ClassEntries> {
        let image = |name: &&str| Entry {
            name: (*name).into(),
            path: (*name).into(),
            line: None,
            role: Role::Both,
        };
        let class = |names: &[&str]| ClassEntries {
            name: names[0].into(),
            images: names.iter().map(image).collect(),
        };
        names.into_iter().map(class).collect()
    }

    fn index(test: Vec<ClassEntries>) -> DatasetIndex {
        let subset = PublishedSubset {
            images: 3,
            classes: 2,
            // printf 'a/0\t0\na/1\t0\nb/0\t1\n' | sha256sum
            digest: Some("44b33d60dbbfeb50777e27f4cf01cd432f8f0b99c018fd901a5748518b1f1d18"),
        };
        DatasetIndex {
            train: classes([&["a/1", "a/0"], &["b/0"]]),
            test,
            faults: Vec::new(),
            published: Some(Published {
                train: subset,
                test: subset,
            }),
        }
    }

    #[test]
    fn the_order_of_images_does_not_matter_and_counts_names_and_labels_do() {
        let messages = |test| -> Vec<String> {
            let differences = compare(&index(test));
            differences.iter().map(DataError::to_string).collect()
        };
        assert!(messages(classes([&["a/0", "a/1"], &["b/0"]])).is_empty());

        let fewer = messages(classes([&["a/0"], &["b/0"]]));
        assert_eq!(fewer.len(), 1);
        assert!(
            fewer[0].starts_with(
                "the test split has 2 image(s) of 2 class(es), the published one 3 of 2: restore"
            ),
            "{fewer:?}"
        );
        for changed in [
            classes([&["a/0", "a/2"], &["b/0"]]),
            classes([&["a/0"], &["a/1", "b/0"]]),
        ] {
            let message = messages(changed).concat();
            assert!(
                message.contains("some image has another name or class"),
                "{message}"
            );
        }
    }

    #[test]
    fn what_was_never_published_differs_from_nothing() {
        let mut index = index(Vec::new());
        index.published = None;
        assert_eq!(compare(&index), []);
    }
}

#[cfg(test)]
#[path = "tests/published_trees.rs"]
mod published_trees;
