//! The configured treatment of classes with one image.

use super::error::DatasetError;
use super::index::{ClassEntries, DatasetIndex, Subset};
use crate::data::config::SingleImageClasses;
use crate::data::split::SplitError;
use crate::evaluation::Role;

/// Applies `policy` to the classes of `subsets` with one image.
///
/// A validation or test class whose image the list declares as a query or gallery image is not changed.
pub(super) fn apply_single_image_policy(
    index: &mut DatasetIndex,
    policy: SingleImageClasses,
    subsets: &[Subset],
) {
    use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
    for &subset in subsets {
        match (policy, subset) {
            (Refuse, _) => refuse_single(index, subset),
            (Drop, _) | (Gallery, Subset::Train) => drop_single(index, subset),
            (Repeat, Subset::Train) => {}
            (Gallery | Repeat, Subset::Validation | Subset::Test) => {
                move_single_to_gallery(index, subset);
            }
        }
    }
}

fn refuse_single(index: &mut DatasetIndex, subset: Subset) {
    let single = index.classes(subset).iter();
    let single = single.filter(|class| is_single(class, subset));
    let errors: Vec<DatasetError> = single
        .map(|class| SplitError::TooFewImages {
            class: class.name.clone(),
            split: subset.name(),
            found: class.images.len(),
        })
        .map(DatasetError::from)
        .collect();
    index.errors.extend(errors);
}

fn move_single_to_gallery(index: &mut DatasetIndex, subset: Subset) {
    for class in index.classes_mut(subset) {
        if is_single(class, subset) {
            class.images[0].role = Role::Gallery;
        }
    }
}

fn drop_single(index: &mut DatasetIndex, subset: Subset) {
    index
        .classes_mut(subset)
        .retain(|class| !is_single(class, subset));
}

fn is_single(class: &ClassEntries, subset: Subset) -> bool {
    class.images.len() == 1 && (subset == Subset::Train || class.images[0].role == Role::Both)
}

#[cfg(test)]
mod tests {
    use super::super::index::Entry;
    use super::*;

    fn class(name: &str, roles: &[Role]) -> ClassEntries {
        let image = |(index, role): (usize, &Role)| {
            let name = format!("{name}/{index}.png");
            Entry {
                role: *role,
                ..Entry::new(name.clone(), name)
            }
        };
        ClassEntries {
            name: name.into(),
            images: roles.iter().enumerate().map(image).collect(),
        }
    }

    fn treated(policy: SingleImageClasses) -> DatasetIndex {
        let mut index = DatasetIndex {
            train: vec![class("a", &[Role::Both; 2]), class("b", &[Role::Query])],
            test: vec![
                class("c", &[Role::Both; 2]),
                class("d", &[Role::Both]),
                class("e", &[Role::Query]),
            ],
            ..DatasetIndex::default()
        };
        apply_single_image_policy(&mut index, policy, &Subset::ALL);
        index
    }

    fn names(classes: &[ClassEntries]) -> String {
        classes.iter().map(|class| class.name.as_str()).collect()
    }

    #[test]
    fn single_images_are_refused_dropped_in_the_gallery_or_repeated() {
        use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
        for (policy, train, test, errors) in [
            (Refuse, "ab", "cde", 2),
            (Drop, "a", "ce", 0),
            (Gallery, "a", "cde", 0),
            (Repeat, "ab", "cde", 0),
        ] {
            let index = treated(policy);
            let found = (names(&index.train), names(&index.test));
            assert_eq!(found, (train.into(), test.into()), "{policy:?}");
            assert_eq!(index.errors.len(), errors, "{policy:?}");
        }
        assert_eq!(treated(Repeat).test[1].images[0].role, Role::Gallery);
        assert_eq!(treated(Gallery).test[2].images[0].role, Role::Query);
        let error = treated(Refuse).errors[0].to_string();
        assert!(error.starts_with("class b of the training split has 1 image(s)"));
    }
}
