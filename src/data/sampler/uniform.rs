//! Every class equally often, independent of its number of images. An epoch is a random permutation of
//! the classes; the last partial batch is dropped.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::classes::Classes;
use crate::data::config::BatchConfig;

pub(super) fn epoch(
    classes: &Classes,
    batch: &BatchConfig,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut walk: Vec<usize> = (0..classes.len()).collect();
    walk.shuffle(rng);
    walk.chunks_exact(batch.classes)
        .map(|labels| {
            labels
                .iter()
                .flat_map(|&label| classes.random_group(label, batch.images_per_class, rng))
                .collect()
        })
        .collect()
}
