//! The images of each class, and groups of K images drawn from them.

use rand::RngExt;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;

/// The images of a split by class. Labels are renumbered without gaps, so every label has images.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    labels: Vec<usize>,
    members: Vec<Vec<usize>>,
}

impl Classes {
    /// Groups images with these labels by class.
    pub(super) fn from_labels(labels: &[usize]) -> Self {
        let mut members = vec![Vec::new(); labels.iter().max().map_or(0, |last| last + 1)];
        for (image, &label) in labels.iter().enumerate() {
            members[label].push(image);
        }
        members.retain(|images| !images.is_empty());
        let mut dense = vec![0; labels.len()];
        for (label, images) in members.iter().enumerate() {
            for &image in images {
                dense[image] = label;
            }
        }
        Self {
            labels: dense,
            members,
        }
    }

    /// Returns the number of classes.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns the number of images.
    pub(super) fn images(&self) -> usize {
        self.labels.len()
    }

    /// Returns the class of an image.
    pub(super) fn label(&self, image: usize) -> usize {
        self.labels[image]
    }

    /// Returns the images of a class.
    pub(super) fn members(&self, label: usize) -> &[usize] {
        &self.members[label]
    }

    /// Returns `k` images of the class of `first`, starting with `first`, which must be distinct.
    ///
    /// The images are distinct if the class has at least `k`. Otherwise every image occurs before any is
    /// repeated, and the two images of a pair (2i, 2i + 1) differ if the class has at least two.
    ///
    /// The published sampler can draw an image again as its own positive, which makes an arc of length
    /// zero. Here the other images are drawn without it.
    pub(super) fn group(&self, first: &[usize], k: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let class = &self.members[self.labels[first[0]]];
        let mut images = Vec::with_capacity(k + class.len().min(k));
        images.extend_from_slice(first);
        // This many draws without repetition include enough other images.
        let others = index::sample(rng, class.len(), class.len().min(k.max(first.len())));
        let others = others.iter().map(|position| class[position]);
        images.extend(others.filter(|image| !first.contains(image)));
        let mut round = Vec::new();
        while images.len() < k {
            if round.is_empty() {
                round.clone_from(class);
            }
            round.shuffle(rng);
            // The first image of this round must differ from the last one if both form a pair.
            if images.len() % 2 == 1 && round.len() > 1 && images.last() == round.first() {
                let other = rng.random_range(1..round.len());
                round.swap(0, other);
            }
            images.extend_from_slice(&round);
        }
        images.truncate(k);
        images
    }

    /// Returns `k` images of a class, drawn at random.
    pub(super) fn random_group(&self, label: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let class = &self.members[label];
        let first = class[rng.random_range(0..class.len())];
        self.group(&[first], k, rng)
    }
}
