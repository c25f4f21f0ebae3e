//! Batches of P classes with K images each, as published with Embedding Expansion and LoOp.
//!
//! The classes are met by walking a random permutation of the *images*, so that a class comes up in
//! proportion to its size; each image met brings K − 1 others of its class. The published sampler
//! can draw the met image again as its own positive, an arc of length zero; here the others are
//! drawn without it, and images repeat only in a class of fewer than K.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::DataError;
use super::random::{Purpose, stream};
use crate::config::BatchConfig;

/// Gives the batches of every epoch as a function of (seed, epoch).
///
/// An epoch is (number of classes × K) images, the last partial batch dropped.
#[derive(Debug, Clone)]
pub struct PairSampler {
    labels: Vec<usize>,
    /// The images of each class.
    members: Vec<Vec<usize>>,
    batch: BatchConfig,
    seed: u64,
}

impl PairSampler {
    /// A sampler of images with these labels; labels are 0 to the number of classes − 1.
    ///
    /// # Errors
    /// P below 2 or above the number of classes, K odd or below 2.
    pub fn new(labels: &[usize], batch: &BatchConfig, seed: u64) -> Result<Self, DataError> {
        let mut members = vec![Vec::new(); labels.iter().max().map_or(0, |last| last + 1)];
        for (image, &label) in labels.iter().enumerate() {
            members[label].push(image);
        }
        members.retain(|images| !images.is_empty());
        // Labels renumbered without gaps, so that a walk over all images meets every class.
        let mut dense = vec![0; labels.len()];
        for (label, images) in members.iter().enumerate() {
            for &image in images {
                dense[image] = label;
            }
        }
        if batch.classes < 2 {
            let mend = "negatives come from other classes of the batch; choose at least 2";
            return Err(DataError::setting("batch.classes", batch.classes, mend));
        }
        if batch.classes > members.len() {
            let mend = format!(
                "the training split has {} classes, and those of a batch are distinct; choose at most that",
                members.len()
            );
            return Err(DataError::setting("batch.classes", batch.classes, mend));
        }
        if batch.images_per_class < 2 || batch.images_per_class % 2 == 1 {
            let mend = "the images of a class are taken in pairs; choose an even number from 2";
            return Err(DataError::setting(
                "batch.images_per_class",
                batch.images_per_class,
                mend,
            ));
        }
        Ok(Self {
            labels: dense,
            members,
            batch: batch.clone(),
            seed,
        })
    }

    /// Batches of an epoch: ⌊classes · K / (P · K)⌋, at least 1.
    pub fn batches_per_epoch(&self) -> usize {
        self.members.len() / self.batch.classes
    }

    /// P · K, the images of a batch.
    pub fn batch_len(&self) -> usize {
        self.batch.classes * self.batch.images_per_class
    }

    /// The seed given to [`new`](Self::new).
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The batches of an epoch, each P · K indices of images, those of a class adjacent.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut rng = stream(Purpose::Batches, self.seed, epoch, 0);
        let mut walk = Vec::new();
        (0..self.batches_per_epoch())
            .map(|_| {
                let met = self.meet_classes(&mut walk, &mut rng);
                met.into_iter()
                    .flat_map(|image| self.images_like(image, &mut rng))
                    .collect()
            })
            .collect()
    }

    /// Takes the next P images of distinct classes from the walk. An image whose class is already
    /// in the batch waits, in its place, for the next batch: passing it over for good would make
    /// large classes rarer than their share. A walk that ends is followed by another permutation,
    /// which has every class, so this terminates however unequal the classes are.
    fn meet_classes(&self, walk: &mut Vec<usize>, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut met: Vec<usize> = Vec::with_capacity(self.batch.classes);
        let mut in_batch = vec![false; self.members.len()];
        let mut waiting = Vec::new();
        let mut steps = std::mem::take(walk).into_iter();
        while met.len() < self.batch.classes {
            let Some(image) = steps.next() else {
                let mut images: Vec<usize> = (0..self.labels.len()).collect();
                images.shuffle(rng);
                steps = images.into_iter();
                continue;
            };
            match std::mem::replace(&mut in_batch[self.labels[image]], true) {
                false => met.push(image),
                true => waiting.push(image),
            }
        }
        waiting.extend(steps);
        *walk = waiting;
        met
    }

    /// K images of the class of `image`, which is the first. They are distinct if the class has as
    /// many; otherwise all come up before any does again, and the two of a pair (2i, 2i + 1) differ
    /// as long as the class has two.
    fn images_like(&self, image: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let wanted = self.batch.images_per_class;
        let mut class = self.members[self.labels[image]].clone();
        let place = class.iter().position(|&other| other == image);
        class.swap(0, place.expect("an image is a member of its class"));
        class[1..].shuffle(rng);

        let mut images = Vec::with_capacity(wanted + class.len());
        while images.len() < wanted {
            if !images.is_empty() {
                class.shuffle(rng);
                // The second of a pair whose first closed the last round.
                if images.len() % 2 == 1 && class.len() > 1 && images.last() == class.first() {
                    let other = rng.random_range(1..class.len());
                    class.swap(0, other);
                }
            }
            images.extend_from_slice(&class);
        }
        images.truncate(wanted);
        images
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn labels_of(sizes: &[usize]) -> Vec<usize> {
        let classes = sizes.iter().enumerate();
        classes
            .flat_map(|(label, &size)| vec![label; size])
            .collect()
    }

    fn sampler(sizes: &[usize], classes: usize, images_per_class: usize, seed: u64) -> PairSampler {
        let batch = BatchConfig {
            classes,
            images_per_class,
        };
        PairSampler::new(&labels_of(sizes), &batch, seed).unwrap()
    }

    proptest! {
        #[test]
        fn batches_keep_their_promises(
            sizes in prop::collection::vec(1_usize..12, 2..12),
            classes_draw in 0_usize..100,
            half_images in 1_usize..6,
            seed: u64,
            epoch in 1_usize..1000,
        ) {
            let (p, k) = (2 + classes_draw % (sizes.len() - 1), 2 * half_images);
            let labels = labels_of(&sizes);
            let sampler = sampler(&sizes, p, k, seed);
            let batches = sampler.epoch(epoch);
            prop_assert_eq!(batches.len(), sizes.len() * k / (p * k));
            prop_assert_eq!(batches.len(), sampler.batches_per_epoch());
            for batch in &batches {
                prop_assert_eq!(batch.len(), p * k);
                let mut met = HashSet::new();
                for images in batch.chunks(k) {
                    let label = labels[images[0]];
                    prop_assert!(met.insert(label), "a class comes twice in a batch");
                    prop_assert!(images.iter().all(|&image| labels[image] == label));
                    let size = sizes[label];
                    let start = labels.iter().position(|&other| other == label).unwrap();
                    for image in start..start + size {
                        let times = images.iter().filter(|&&other| other == image).count();
                        prop_assert!((k / size..=k.div_ceil(size)).contains(&times));
                    }
                    if size > 1 {
                        prop_assert!(images.chunks(2).all(|pair| pair[0] != pair[1]));
                    }
                }
            }
        }

        #[test]
        fn an_epoch_depends_on_seed_and_epoch_alone(seed: u64, epoch in 1_usize..1000) {
            let sizes = [9; 8];
            let once = sampler(&sizes, 4, 4, seed);
            // Epochs asked for in between, as by an unbroken run, change nothing.
            let again = sampler(&sizes, 4, 4, seed);
            again.epoch(epoch + 1);
            again.epoch(1);
            prop_assert_eq!(once.epoch(epoch), again.epoch(epoch));
            prop_assert_ne!(once.epoch(epoch), once.epoch(epoch + 1));
            prop_assert_ne!(once.epoch(epoch), sampler(&sizes, 4, 4, seed ^ 1).epoch(epoch));
        }
    }

    #[test]
    fn a_class_comes_up_in_proportion_to_its_size() {
        let sizes = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        let labels = labels_of(&sizes);
        let sampler = sampler(&sizes, 2, 2, 3);
        let epochs = 2000;
        let mut times = [0_usize; 10];
        for epoch in 1..=epochs {
            for batch in sampler.epoch(epoch) {
                batch.chunks(2).for_each(|pair| times[labels[pair[0]]] += 1);
            }
        }
        let total: usize = sizes.iter().sum();
        for (&times, &size) in times.iter().zip(&sizes) {
            let expected = (10 * epochs * size) as f64 / total as f64;
            // 20,000 draws: a binomial count of the smallest class (364 expected) strays by 5 % for
            // one standard deviation. What waits at an epoch's end takes a little from the largest.
            let tolerance = 4.0 * expected.sqrt() + 0.06 * expected;
            assert!(
                (times as f64 - expected).abs() < tolerance,
                "a class of {size} came {times} times, expected {expected:.0}"
            );
        }
    }

    #[test]
    fn first_images_of_a_class_are_met_evenly() {
        let sampler = sampler(&[5, 5, 5, 5], 2, 4, 1);
        let mut first = [0_usize; 20];
        for epoch in 1..=2500 {
            for batch in sampler.epoch(epoch) {
                batch.chunks(4).for_each(|images| first[images[0]] += 1);
            }
        }
        // 10,000 draws of 20 images: 500 each, standard deviation 22.
        assert!(
            first.iter().all(|times| times.abs_diff(500) < 110),
            "{first:?}"
        );
    }

    #[test]
    fn a_batch_of_all_classes_meets_each_once() {
        let sampler = sampler(&[3, 4, 5], 3, 2, 9);
        assert_eq!(sampler.batches_per_epoch(), 1);
        let batch = &sampler.epoch(1)[0];
        let met: HashSet<usize> = batch.iter().map(|&i| labels_of(&[3, 4, 5])[i]).collect();
        assert_eq!(met.len(), 3);
    }

    #[test]
    fn very_unequal_classes_terminate_and_the_large_one_is_in_every_batch() {
        let sizes: Vec<usize> = [50_000].into_iter().chain([2; 63]).collect();
        let sampler = sampler(&sizes, 8, 4, 2);
        for batch in sampler.epoch(1) {
            assert!(batch.iter().any(|&image| image < 50_000));
        }
    }

    #[test]
    fn gaps_among_the_labels_are_no_classes() {
        let batch = BatchConfig {
            classes: 2,
            images_per_class: 2,
        };
        let sampler = PairSampler::new(&[7, 3, 7, 3], &batch, 1).unwrap();
        assert_eq!(sampler.batches_per_epoch(), 1);
        assert!(
            sampler.epoch(1)[0]
                .chunks(2)
                .all(|pair| pair[0] % 2 == pair[1] % 2)
        );
    }

    #[test]
    fn impossible_batches_are_refused_by_key() {
        let refusal = |classes, images_per_class| {
            let batch = BatchConfig {
                classes,
                images_per_class,
            };
            PairSampler::new(&labels_of(&[4, 4, 4]), &batch, 1)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(1, 2).contains("batch.classes = 1"));
        let message = refusal(4, 2);
        assert!(
            message.contains("`batch.classes = 4`: the training split has 3 classes"),
            "{message}"
        );
        assert!(refusal(2, 3).contains("batch.images_per_class = 3"));
        assert!(refusal(2, 0).contains("batch.images_per_class = 0"));
    }
}
