//! Comparison of a dataset with its published split.

use sha2::{Digest, Sha256};

use super::error::DatasetError;
use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use super::published::PublishedSubset;
use crate::hex::hex;

/// Returns the differences from the published split, if there is one: at most one
/// [`DatasetError::NotPublished`] for each subset.
pub(crate) fn compare(index: &DatasetIndex) -> Vec<DatasetError> {
    let Some(published) = index.published else {
        return Vec::new();
    };
    [
        (Subset::Train, published.train),
        (Subset::Test, published.test),
    ]
    .into_iter()
    .filter_map(|(subset, published)| compare_subset(index.classes(subset), subset, published))
    .collect()
}

fn compare_subset(
    classes: &[ClassEntries],
    subset: Subset,
    published: PublishedSubset,
) -> Option<DatasetError> {
    let images = classes.iter().map(|class| class.images.len()).sum();
    if (images, classes.len()) != (published.images, published.classes) {
        return Some(DatasetError::NotPublished {
            split: subset.name(),
            found: format!("has {images} image(s) of {} class(es)", classes.len()),
            published: format!("{} of {}", published.images, published.classes),
            hint: "restore the lists and images from the archive, or the results cannot be compared \
                   with published ones",
        });
    }
    let (expected, found) = (published.digest?, digest(classes));
    (found != expected).then(|| DatasetError::NotPublished {
        split: subset.name(),
        found: format!("has a list with SHA-256 {found}"),
        published: expected.into(),
        hint: "the numbers of images and classes agree, but some image has another name or class; \
               restore the lists and images from the archive",
    })
}

/// Returns the SHA-256, in hexadecimal, of the lines `NAME⇥LABEL⏎` sorted by their bytes. A label is the
/// position of the image's class in `classes`, from 0.
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
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::published::Published;
    use super::*;

    fn classes(names: [&[&str]; 2]) -> Vec<ClassEntries> {
        let image = |name: &&str| Entry::new(*name, *name);
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
            published: Some(Published {
                train: subset,
                test: subset,
            }),
            ..DatasetIndex::default()
        }
    }

    #[test]
    fn counts_names_and_labels_are_compared_and_order_is_not() {
        let messages = |test| -> Vec<String> {
            let differences = compare(&index(test));
            differences.iter().map(DatasetError::to_string).collect()
        };
        assert!(messages(classes([&["a/0", "a/1"], &["b/0"]])).is_empty());

        let fewer = messages(classes([&["a/0"], &["b/0"]]));
        assert_eq!(fewer.len(), 1);
        assert!(
            fewer[0].starts_with(
                "the test split has 2 image(s) of 2 class(es), the published one 3 of 2; restore"
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
    fn a_dataset_without_published_split_has_no_differences() {
        let mut index = index(Vec::new());
        index.published = None;
        assert_eq!(compare(&index), []);
    }
}

#[cfg(test)]
#[path = "tests/published_trees.rs"]
mod published_trees;
