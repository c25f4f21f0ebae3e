//! Images with the same bytes: harmless in a class, a wrong label across classes, a leak across the
//! splits.

use std::collections::HashMap;

use super::{LocatedEntry, Problem, Severity};
use crate::data::DataError;
use crate::data::datasets::index::Subset;

/// SHA-256 of a file's bytes.
pub(super) type Digest = [u8; 32];

/// The images met so far with the same bytes: the first of a subset, and its first of another class.
#[derive(Clone, Copy)]
struct First<'a> {
    image: LocatedEntry<'a>,
    of_another_class: Option<LocatedEntry<'a>>,
}

/// A problem for every image that has the bytes of an earlier one, at its worst: of the other split
/// before another class before the same class. Images come with training before test. A copy across
/// the splits is an error, unless the split is one that was `published` with its copies: there is
/// nothing to be mended then.
pub(super) fn duplicates<'a>(
    images: impl IntoIterator<Item = (LocatedEntry<'a>, Digest)>,
    published: bool,
) -> Vec<Problem> {
    let across_splits = match published {
        true => Severity::Warning,
        false => Severity::Error,
    };
    let mut first_by_side: HashMap<(Subset, Digest), First<'a>> = HashMap::new();
    let mut problems = Vec::new();
    for (image, digest) in images {
        let other_side = match image.subset {
            Subset::Train => Subset::Test,
            Subset::Test => Subset::Train,
        };
        let across = first_by_side.get(&(other_side, digest)).copied();
        let same_side = first_by_side.entry((image.subset, digest));
        let earlier = match same_side {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(First {
                    image,
                    of_another_class: None,
                });
                None
            }
            std::collections::hash_map::Entry::Occupied(mut place) => {
                Some(place.get_mut().meet(image))
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

impl<'a> First<'a> {
    /// The earlier image that `image` is worst to be a copy of; `image` is remembered.
    fn meet(&mut self, image: LocatedEntry<'a>) -> LocatedEntry<'a> {
        if image.class.name != self.image.class.name {
            self.of_another_class.get_or_insert(image);
            return self.image;
        }
        self.of_another_class.unwrap_or(self.image)
    }
}

fn problem(copy: LocatedEntry<'_>, original: LocatedEntry<'_>, across_splits: Severity) -> Problem {
    let (severity, relation) = if copy.subset != original.subset {
        (
            across_splits,
            " of the training split, so that a test image was trained on: remove one of the two",
        )
    } else if copy.class.name != original.class.name {
        (
            Severity::Warning,
            " of another class, so that one of the two labels must be wrong: keep the right one",
        )
    } else {
        (
            Severity::Warning,
            " of the same class, so that it counts twice: remove one of the two",
        )
    };
    let error = copy.image.locate(DataError::Duplicate {
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
