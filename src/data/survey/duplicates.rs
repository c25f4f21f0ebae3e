//! Images with the same bytes: harmless in the same class, a wrong label in different classes, a leak in
//! different splits.

use std::collections::HashMap;

use super::dataset_survey::LocatedEntry;
use super::problem::{Problem, Severity};
use crate::data::datasets::{ListError, Subset};

/// SHA-256 of a file's bytes.
pub(super) type Digest = [u8; 32];

/// The earlier images of a subset with the same bytes: the first, and the first of another class.
#[derive(Clone, Copy)]
struct FirstOccurrence<'a> {
    image: LocatedEntry<'a>,
    of_another_class: Option<LocatedEntry<'a>>,
}

/// Returns a problem for every image with the bytes of an earlier one. The worst relation is reported: to
/// another split, then to another class, then to the same class. Training images must come before validation
/// images, and these before test images.
///
/// A copy in another split is an error. If the split is `published`, it is a warning, since the copies
/// belong to the published split.
pub(super) fn duplicates<'a>(
    images: impl IntoIterator<Item = (LocatedEntry<'a>, Digest)>,
    published: bool,
) -> Vec<Problem> {
    let across_splits = match published {
        true => Severity::Warning,
        false => Severity::Error,
    };
    let mut first_by_subset: HashMap<(Subset, Digest), FirstOccurrence<'a>> = HashMap::new();
    let mut problems = Vec::new();
    for (image, digest) in images {
        let other_subsets = Subset::ALL.into_iter().filter(|of| *of != image.subset);
        let mut across = other_subsets.map(|of| first_by_subset.get(&(of, digest)).copied());
        let across = across.find_map(|first| first);
        let same_subset = first_by_subset.entry((image.subset, digest));
        let earlier = match same_subset {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(FirstOccurrence {
                    image,
                    of_another_class: None,
                });
                None
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                Some(slot.get_mut().original_of(image))
            }
        };
        if let Some(original) = across.map(|first| first.image).or(earlier)
            && original.image.path != image.image.path
        {
            problems.push(problem(image, original, across_splits));
        }
    }
    problems
}

impl<'a> FirstOccurrence<'a> {
    /// Returns the earlier image with the worst relation to `image`, and stores `image`.
    fn original_of(&mut self, image: LocatedEntry<'a>) -> LocatedEntry<'a> {
        if image.class.name != self.image.class.name {
            self.of_another_class.get_or_insert(image);
            return self.image;
        }
        self.of_another_class.unwrap_or(self.image)
    }
}

fn problem(copy: LocatedEntry<'_>, original: LocatedEntry<'_>, across_splits: Severity) -> Problem {
    let (severity, relation) = if copy.subset != original.subset {
        let relation = match (original.subset, copy.subset) {
            (Subset::Train, Subset::Validation) => {
                " of the training split, so a validation image was trained on; remove one of the two"
            }
            (Subset::Validation, _) => {
                " of the validation split, so a test image chooses the best epoch; remove one of the two"
            }
            _ => " of the training split, so a test image was trained on; remove one of the two",
        };
        (across_splits, relation)
    } else if copy.class.name != original.class.name {
        (
            Severity::Warning,
            " of another class, so one of the two labels must be wrong; keep the right one",
        )
    } else {
        (
            Severity::Warning,
            " of the same class, so it counts twice; remove one of the two",
        )
    };
    let error = copy.image.locate(ListError::Duplicate {
        path: copy.image.path.clone(),
        first: original.image.path.clone(),
        relation,
    });
    Problem {
        severity,
        error,
        class: Some(copy.class.name.clone()),
    }
}
