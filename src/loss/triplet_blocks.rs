//! Every positive of an anchor compared with every negative, for GPUs: Burn 0.21 sorts on the host, which would wait
//! for the device in every step.
//!
//! A·Kp·Kn numbers are compared in blocks of anchors, so that memory is bounded.

use burn::tensor::{Int, Tensor, backend::Backend};

use crate::negatives::Comparisons;

/// Numbers that are compared at once: 64 MiB in `f32`.
const BLOCK: usize = 1 << 24;

/// The distances of a block of anchors, without gradient.
struct Block<B: Backend> {
    /// \[A, Kp, Kn\].
    positives: Tensor<B, 3>,
    /// \[A, Kp, Kn\]; `f32::MAX` for invalid ones.
    negatives: Tensor<B, 3>,
}

/// Returns for every positive the column of the nearest negative that is not nearer, or of the farthest negative if
/// all are nearer, \[A, Kp\]. Any column for an anchor without negatives.
pub(super) fn semi_hard_columns<B: Backend>(comparisons: &Comparisons<B>) -> Tensor<B, 2, Int> {
    let positives = comparisons.positives.clone().detach();
    let valid = comparisons.negative_mask.clone();
    let negatives = comparisons.negatives.clone().detach();
    let farthest = negatives
        .clone()
        .mask_fill(valid.clone().bool_not(), f32::MIN)
        .argmax(1);
    let negatives = negatives.mask_fill(valid.bool_not(), f32::MAX);
    let columns = positives.dims()[1];
    let blocks = blocks(&positives, &negatives, |block| {
        let nearer = block.negatives.clone().lower(block.positives);
        let others = block.negatives.mask_fill(nearer, f32::MAX);
        // 1 where no negative is left.
        let none = others.clone().min_dim(2).greater_equal_elem(f32::MAX);
        [others.argmin(2), none.int()].map(|numbers| numbers.squeeze_dim::<2>(2))
    });
    let [nearest, none] = concatenated(blocks);
    let farthest = farthest.expand([positives.dims()[0], columns]);
    nearest.mask_where(none.greater_elem(0), farthest)
}

/// Returns the number of negatives below each positive, \[A, Kp\], and the number of positives above each negative,
/// \[A, Kn\]. Invalid ones do not count.
pub(super) fn crossings<B: Backend>(
    positives: Tensor<B, 2>,
    comparisons: &Comparisons<B>,
) -> [Tensor<B, 2, Int>; 2] {
    let invalid = comparisons.positive_mask.clone().bool_not();
    let positives = positives.detach().mask_fill(invalid, f32::MIN);
    let invalid = comparisons.negative_mask.clone().bool_not();
    let negatives = comparisons.negatives.clone().detach();
    let negatives = negatives.mask_fill(invalid, f32::MAX);
    concatenated(blocks(&positives, &negatives, |block| {
        let below = block.negatives.lower(block.positives).int();
        [
            below.clone().sum_dim(2).squeeze_dim::<2>(2),
            below.sum_dim(1).squeeze_dim::<2>(1),
        ]
    }))
}

/// Calls `compare` for blocks of anchors.
fn blocks<B: Backend, T>(
    positives: &Tensor<B, 2>,
    negatives: &Tensor<B, 2>,
    compare: impl Fn(Block<B>) -> T,
) -> Vec<T> {
    let ([anchors, of_positives], [_, of_negatives]) = (positives.dims(), negatives.dims());
    let size = (BLOCK / (of_positives * of_negatives).max(1)).max(1);
    let block = |start: usize| {
        let rows = start..(start + size).min(anchors);
        let shape = [rows.len(), of_positives, of_negatives];
        let positives = positives.clone().slice([rows.clone()]);
        let negatives = negatives.clone().slice([rows]);
        compare(Block {
            positives: positives.unsqueeze_dim::<3>(2).expand(shape),
            negatives: negatives.unsqueeze_dim::<3>(1).expand(shape),
        })
    };
    (0..anchors).step_by(size).map(block).collect()
}

/// Concatenates the results of blocks.
fn concatenated<B: Backend>(blocks: Vec<[Tensor<B, 2, Int>; 2]>) -> [Tensor<B, 2, Int>; 2] {
    let (first, second) = blocks.into_iter().map(<(_, _)>::from).unzip();
    [first, second].map(|blocks: Vec<_>| Tensor::cat(blocks, 0))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, TensorData};

    use super::super::triplet::{crossings_by_sorting, semi_hard_columns_by_sorting};
    use super::*;
    use crate::geometry::Measure;

    type B = burn_flex::Flex;

    /// Distances that are multiples of `step`, so that a coarse one gives ties. Some are invalid, and so are all
    /// negatives of the last anchor.
    fn comparisons(anchors: usize, columns: [usize; 2], step: f32) -> Comparisons<B> {
        let device = Default::default();
        let hash = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u32;
        let distances = |columns: usize, seed: usize| {
            let numbers = (0..anchors * columns).map(|i| hash(i + seed) as f32 / (1 << 24) as f32);
            let numbers: Vec<f32> = numbers.map(|x| (2.0 * x / step).round() * step).collect();
            Tensor::<B, 2>::from_data(TensorData::new(numbers, [anchors, columns]), &device)
        };
        let mask = |columns: usize, seed: usize, empty: usize| {
            let flags = (0..anchors * columns)
                .map(|i| hash(i + seed) % 5 > 0 && i / columns != empty)
                .collect::<Vec<bool>>();
            Tensor::<B, 2, Bool>::from_data(TensorData::new(flags, [anchors, columns]), &device)
        };
        Comparisons {
            positives: distances(columns[0], 1),
            positive_mask: mask(columns[0], 2, anchors),
            negatives: distances(columns[1], 3),
            negative_mask: mask(columns[1], 4, anchors - 1),
            measure: Measure::Distance,
            squared_lengths: Tensor::ones([anchors, 1], &device),
        }
    }

    fn numbers<K>(tensor: Tensor<B, 2, K>) -> Vec<f64>
    where
        K: burn::tensor::TensorKind<B> + burn::tensor::BasicOps<B>,
    {
        tensor.into_data().iter::<f64>().collect()
    }

    #[test]
    fn semi_hard_negatives_are_those_found_by_sorting() {
        // Without ties and with many; the last in two blocks.
        for (anchors, columns, step) in [
            (5, [3, 7], 1e-6),
            (8, [6, 9], 0.25),
            (300, [300, 300], 1e-6),
        ] {
            let comparisons = comparisons(anchors, columns, step);
            // Any column serves for the last anchor, which has no negative, and for invalid positives.
            let invalid = comparisons.positive_mask.clone().bool_not();
            let distances = |columns: Tensor<B, 2, Int>| {
                let negatives = comparisons.negatives.clone().gather(1, columns);
                let counted = negatives.mask_fill(invalid.clone(), 0.0);
                numbers(counted.narrow(0, 0, anchors - 1))
            };
            assert_eq!(
                distances(semi_hard_columns(&comparisons)),
                distances(semi_hard_columns_by_sorting(&comparisons))
            );
        }
    }

    #[test]
    fn crossings_are_those_found_by_sorting_and_equal_distances_do_not_cross() {
        for (anchors, columns) in [(5, [3, 7]), (300, [300, 300])] {
            let step = 2.0_f32.powi(-10);
            let comparisons = comparisons(anchors, columns, step);
            // Half a step further, so that no positive equals a negative.
            let positives = comparisons.positives.clone() + 100.5 * step;
            let found = crossings(positives.clone(), &comparisons).map(numbers);
            let expected = crossings_by_sorting(positives, &comparisons).map(numbers);
            assert_eq!(found, expected);
        }
        let mut equal = comparisons(2, [2, 2], 1.0);
        equal.positives = equal.positives.zeros_like() + 0.5;
        equal.negatives = equal.positives.clone();
        for counts in crossings(equal.positives.clone(), &equal) {
            assert!(numbers(counts).iter().all(|&count| count == 0.0));
        }
    }
}
