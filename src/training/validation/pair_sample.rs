//! A sample of pairs of images of the same class and of different classes.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

/// The most pairs of a kind that are drawn. A quantile of the distances is then within 1 % of its place in the
/// order of all pairs (two standard deviations: 2 √(¼ / 8192) = 1.1 %).
const PAIRS: usize = 8192;

/// Different ordered pairs of images, as indices into a list of labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PairSample {
    /// Pairs of different images of the same class.
    pub(super) positive: Vec<[usize; 2]>,
    /// Pairs of images of different classes.
    pub(super) negative: Vec<[usize; 2]>,
}

impl PairSample {
    /// Draws pairs of images with these labels: every pair is equally likely. The same labels and seed have the
    /// same pairs.
    pub(super) fn draw(labels: &[usize], seed: u64) -> Self {
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (image, &label) in labels.iter().enumerate() {
            classes.entry(label).or_default().push(image);
        }
        // The images of a class are adjacent.
        let images: Vec<usize> = classes.values().flatten().copied().collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = |others: &dyn Fn(usize) -> usize,
                         other: &dyn Fn(Class, usize, usize) -> usize| {
            let mut first_pair = Vec::with_capacity(classes.len());
            let mut starts = Vec::with_capacity(classes.len());
            let (mut total, mut start) = (0, 0);
            for class in classes.values() {
                first_pair.push(total);
                starts.push(Class {
                    start,
                    size: class.len(),
                });
                total += class.len() * others(class.len());
                start += class.len();
            }
            let mut chosen = sample(&mut rng, total, PAIRS.min(total)).into_vec();
            // In the order of the images, which memory caches favour.
            chosen.sort_unstable();
            let pair = |index: usize| {
                let class = first_pair.partition_point(|&first| first <= index) - 1;
                let within = index - first_pair[class];
                let others = others(starts[class].size);
                let anchor = starts[class].start + within / others;
                [
                    images[anchor],
                    images[other(starts[class], anchor, within % others)],
                ]
            };
            chosen.into_iter().map(pair).collect()
        };
        let count = labels.len();
        let positive = drawn(&|size| size - 1, &|class, anchor, index| {
            let other = class.start + index;
            other + usize::from(other >= anchor)
        });
        let negative = drawn(
            &|size| count - size,
            &|class, _, index| match index < class.start {
                true => index,
                false => index + class.size,
            },
        );
        Self { positive, negative }
    }
}

/// The place of the images of a class.
#[derive(Debug, Clone, Copy)]
struct Class {
    start: usize,
    size: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn few_pairs_are_all_drawn_once() {
        let labels = [3, 0, 3, 7, 0, 3];
        let PairSample { positive, negative } = PairSample::draw(&labels, 5);
        let pairs = |same: bool| -> BTreeSet<[usize; 2]> {
            let all = (0..6).flat_map(|a| (0..6).map(move |b| [a, b]));
            all.filter(|[a, b]| a != b && (labels[*a] == labels[*b]) == same)
                .collect()
        };
        for (drawn, expected) in [(positive, pairs(true)), (negative, pairs(false))] {
            assert_eq!(drawn.len(), expected.len());
            assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn many_pairs_are_sampled_evenly_and_the_same_each_time() {
        // Classes of 100 and 300 images.
        let labels: Vec<usize> = (0..400).map(|i| usize::from(i % 4 > 0)).collect();
        let sample = PairSample::draw(&labels, 1);
        assert_eq!(sample, PairSample::draw(&labels, 1));
        assert_ne!(sample, PairSample::draw(&labels, 2));
        assert_eq!(sample.positive.len(), PAIRS);
        assert_eq!(sample.negative.len(), PAIRS);
        assert!(
            sample
                .positive
                .iter()
                .all(|[a, b]| a != b && labels[*a] == labels[*b])
        );
        assert!(
            sample
                .negative
                .iter()
                .all(|[a, b]| labels[*a] != labels[*b])
        );
        // 100 · 99 of 100 · 99 + 300 · 299 positive pairs; the standard deviation is 0.0033.
        let small = sample
            .positive
            .iter()
            .filter(|[a, _]| labels[*a] == 0)
            .count();
        let share = small as f64 / PAIRS as f64;
        assert!((share - 9_900.0 / 99_600.0).abs() < 0.013, "{share}");
    }

    #[test]
    fn one_class_or_no_image_has_no_negative_pairs() {
        assert_eq!(PairSample::draw(&[], 1), PairSample::default());
        let one = PairSample::draw(&[4, 4], 1);
        assert_eq!((one.positive.len(), one.negative.len()), (2, 0));
        let single = PairSample::draw(&[0, 1], 1);
        assert_eq!((single.positive.len(), single.negative.len()), (0, 2));
    }
}
