//! Problems of the classes and queries of a dataset.

use std::collections::HashSet;

use super::problem::Problem;
use crate::data::config::SingleImageClasses;
use crate::data::datasets::{ClassEntries, DatasetIndex, Subset};
use crate::data::split::{SplitError, in_prose};
use crate::evaluation::Role;

/// Classes that a split needs to compare images of different classes.
const FEWEST_CLASSES: usize = 2;

/// Finds too few classes, classes with too few images, and classes in the training and the test split. Validation
/// classes in another split are found by the reader of the list.
pub(super) fn class_problems(index: &DatasetIndex, single: SingleImageClasses) -> Vec<Problem> {
    let mut problems = Vec::new();
    for subset in Subset::ALL {
        if subset == Subset::Validation && !index.has_validation() {
            continue;
        }
        let classes = index.classes(subset);
        if classes.len() < FEWEST_CLASSES {
            problems.push(Problem::new(SplitError::TooFewClasses {
                what: format!("the {} split", in_prose(subset.name())),
                found: classes.len(),
                needed: FEWEST_CLASSES,
            }));
        }
        let small = classes.iter().filter(|class| class.images.len() < 2);
        problems.extend(
            small
                .filter_map(|class| too_few_images(class, subset, single))
                .map(Problem::new),
        );
    }
    let training: HashSet<&str> = index.train.iter().map(|c| c.name.as_str()).collect();
    let both = index.test.iter().map(|class| &class.name);
    problems.extend(
        both.filter(|name| training.contains(name.as_str()))
            .map(|name| {
                Problem::new(SplitError::ClassInBothSplits {
                    class: name.clone(),
                })
            }),
    );
    problems
}

/// Returns the problem of a class with less than two images. `None` if the list declares the image as a
/// query or gallery image.
fn too_few_images(
    class: &ClassEntries,
    subset: Subset,
    single: SingleImageClasses,
) -> Option<SplitError> {
    use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
    let role = class.images.first().map(|image| image.role);
    let treatment = match (subset, role, single) {
        (Subset::Validation | Subset::Test, Some(Role::Query | Role::Gallery), _) => return None,
        (_, None, _) | (_, _, Refuse) => {
            return Some(SplitError::TooFewImages {
                class: class.name.clone(),
                split: subset.name(),
                found: class.images.len(),
            });
        }
        (_, _, Drop) | (Subset::Train, _, Gallery) => "it is left out (data.single_image_classes)",
        (Subset::Train, _, Repeat) => {
            "it is its own positive (data.single_image_classes = \"repeat\")"
        }
        (Subset::Validation | Subset::Test, _, Gallery | Repeat) => {
            "it is in the gallery only (data.single_image_classes)"
        }
    };
    Some(SplitError::SingleImageClass {
        class: class.name.clone(),
        split: subset.name(),
        treatment,
    })
}

/// Finds queries without a gallery image of their class. If this is true for all queries of a split, it cannot be
/// evaluated.
pub(super) fn query_problems(index: &DatasetIndex) -> Vec<Problem> {
    let evaluated = [Subset::Validation, Subset::Test].into_iter();
    evaluated
        .flat_map(|subset| query_problems_of(index, subset))
        .collect()
}

fn query_problems_of(index: &DatasetIndex, subset: Subset) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut queries = 0;
    for class in index.classes(subset) {
        // `class_problems` reports these classes.
        if class.images.len() == 1 && class.images[0].role == Role::Both {
            continue;
        }
        let gallery = class
            .images
            .iter()
            .filter(|i| i.role.is_in_gallery())
            .count();
        for query in class.images.iter().filter(|i| i.role.is_query()) {
            queries += 1;
            if gallery == usize::from(query.role.is_in_gallery()) {
                problems.push(Problem::new(query.locate(SplitError::UnmatchedQuery {
                    path: query.path.clone(),
                    class: class.name.clone(),
                })));
            }
        }
    }
    if queries == problems.len() && !index.classes(subset).is_empty() {
        problems.push(Problem::new(SplitError::NoQuery {
            split: subset.name(),
        }));
    }
    problems
}
