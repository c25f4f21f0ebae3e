//! Every image once per epoch, in batches of the same size.
//!
//! The images of a class are divided into groups of K. An incomplete last group is filled with other
//! images of the class. A batch with fewer than P classes is filled with groups of other classes. The
//! filling images are repeated in the epoch. Every image is included.

use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;

use super::classes::Classes;
use crate::data::config::BatchConfig;

/// Returns the number of batches of an epoch: enough for all groups, with each class at most once in a
/// batch.
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
    // Labels of each batch. Groups are distributed in turn, class by class, so that the groups of a class
    // are in different batches and no batch has more than P groups.
    let count = batches(classes, batch);
    let mut batched = vec![(Vec::new(), Vec::new()); count];
    let mut walk: Vec<usize> = (0..classes.len()).collect();
    walk.shuffle(rng);
    let mut turn = (0..count).cycle();
    for label in walk {
        let mut images = classes.members(label).to_vec();
        images.shuffle(rng);
        for group in images.chunks(k) {
            let (labels, images) = &mut batched[turn.next().expect("a cycle never ends")];
            labels.push(label);
            images.extend(classes.group(group, k, rng));
        }
    }
    for (labels, images) in &mut batched {
        let missing = batch.classes - labels.len();
        // P draws without repetition include enough classes that are not in the batch yet.
        let others = index::sample(rng, classes.len(), batch.classes.min(classes.len()));
        let others: Vec<usize> = others
            .iter()
            .filter(|label| !labels.contains(label))
            .collect();
        for &label in others.iter().take(missing) {
            images.extend(classes.random_group(label, k, rng));
        }
    }
    batched.shuffle(rng);
    batched.into_iter().map(|(_, images)| images).collect()
}
