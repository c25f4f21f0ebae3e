//! Classes in proportion to their size, as published with Embedding Expansion and LoOp.
//!
//! The sampler walks a random permutation of the *images*. Each image is joined by K − 1 others of its
//! class. An epoch has (number of classes × K) images; the last partial batch is dropped.

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
            let first = distinct_classes(classes, batch.classes, &mut walk, rng);
            first
                .into_iter()
                .flat_map(|image| classes.group(&[image], batch.images_per_class, rng))
                .collect()
        })
        .collect()
}

/// Takes the next `wanted` images of distinct classes from the walk.
///
/// An image whose class is already in the batch keeps its position for the next batch. Dropping it would
/// make large classes rarer than their share. At the end of the walk another permutation follows, which
/// contains every class. So this terminates for classes of any sizes.
fn distinct_classes(
    classes: &Classes,
    wanted: usize,
    walk: &mut VecDeque<usize>,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut taken: Vec<usize> = Vec::with_capacity(wanted);
    let mut in_batch = vec![false; classes.len()];
    let mut waiting = Vec::new();
    while taken.len() < wanted {
        let Some(image) = walk.pop_front() else {
            let mut images: Vec<usize> = (0..classes.images()).collect();
            images.shuffle(rng);
            walk.extend(images);
            continue;
        };
        match std::mem::replace(&mut in_batch[classes.label(image)], true) {
            false => taken.push(image),
            true => waiting.push(image),
        }
    }
    for image in waiting.into_iter().rev() {
        walk.push_front(image);
    }
    taken
}
