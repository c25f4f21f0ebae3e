//! As published with Embedding Expansion and LoOp: a class comes up in proportion to its size.
//!
//! The classes are met by walking a random permutation of the *images*; each image met brings K − 1
//! others of its class. An epoch is (number of classes × K) images, the last partial batch dropped.

use std::collections::VecDeque;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::classes::Classes;
use crate::data::config::BatchConfig;

pub(super) fn epoch(
    classes: &Classes,
    batch: &BatchConfig,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut walk = VecDeque::new();
    (0..classes.len() / batch.classes)
        .map(|_| {
            let met = meet_classes(classes, batch.classes, &mut walk, rng);
            met.into_iter()
                .flat_map(|image| classes.group(&[image], batch.images_per_class, rng))
                .collect()
        })
        .collect()
}

/// Takes the next P images of distinct classes from the walk. An image whose class is already in the
/// batch waits, in its place, for the next batch: passing it over for good would make large classes
/// rarer than their share. A walk that ends is followed by another permutation, which has every
/// class, so this terminates however unequal the classes are.
fn meet_classes(
    classes: &Classes,
    wanted: usize,
    walk: &mut VecDeque<usize>,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut met: Vec<usize> = Vec::with_capacity(wanted);
    let mut in_batch = vec![false; classes.len()];
    let mut waiting = Vec::new();
    while met.len() < wanted {
        let Some(image) = walk.pop_front() else {
            let mut images: Vec<usize> = (0..classes.images()).collect();
            images.shuffle(rng);
            walk.extend(images);
            continue;
        };
        match std::mem::replace(&mut in_batch[classes.label(image)], true) {
            false => met.push(image),
            true => waiting.push(image),
        }
    }
    for image in waiting.into_iter().rev() {
        walk.push_front(image);
    }
    met
}
