//! Every image once an epoch, in batches of one size.
//!
//! The images of a class are dealt into groups of K. What the last group of a class lacks is filled
//! with other images of the class, and what a batch lacks to P classes with groups of classes that
//! it does not have yet: those images come again. No image is left out.

use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;

use super::classes::Classes;
use crate::data::config::BatchConfig;

/// Batches of an epoch: enough for all groups, and for each class to be in a batch only once.
pub(super) fn batches(classes: &Classes, batch: &BatchConfig) -> usize {
    let groups = (0..classes.len()).map(|label| {
        let images = classes.members(label).len();
        images.div_ceil(batch.images_per_class)
    });
    let (sum, largest) = groups.fold((0, 0), |(sum, largest), groups| {
        (sum + groups, largest.max(groups))
    });
    largest.max(usize::div_ceil(sum, batch.classes))
}

pub(super) fn epoch(
    classes: &Classes,
    batch: &BatchConfig,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let k = batch.images_per_class;
    // Labels of each batch. Groups are dealt in turn, those of a class one after the other, so that
    // they come into different batches and no batch gets more than P.
    let count = batches(classes, batch);
    let mut dealt = vec![(Vec::new(), Vec::new()); count];
    let mut walk: Vec<usize> = (0..classes.len()).collect();
    walk.shuffle(rng);
    let mut turn = (0..count).cycle();
    for label in walk {
        let mut images = classes.members(label).to_vec();
        images.shuffle(rng);
        for group in images.chunks(k) {
            let (labels, images) = &mut dealt[turn.next().expect("a cycle has no end")];
            labels.push(label);
            images.extend(classes.group(group, k, rng));
        }
    }
    for (labels, images) in &mut dealt {
        let missing = batch.classes - labels.len();
        // P draws without repetition hold as many that are not in the batch yet as it lacks.
        let others = index::sample(rng, classes.len(), batch.classes.min(classes.len()));
        let others: Vec<usize> = others
            .iter()
            .filter(|label| !labels.contains(label))
            .collect();
        for &label in others.iter().take(missing) {
            images.extend(classes.random_group(label, k, rng));
        }
    }
    dealt.shuffle(rng);
    dealt.into_iter().map(|(_, images)| images).collect()
}
