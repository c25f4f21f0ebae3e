//! The pairs of a batch.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::geometry::Measure;
use crate::geometry::pair_rows::PairRows;

/// P pairs of rows, and the pairs that each of N rows is in.
pub(super) struct PairList {
    first: Vec<i32>,
    second: Vec<i32>,
    /// W pairs for each row \[N · W\], with repetitions for rows in fewer pairs; any pair for rows in none.
    of_rows: Vec<i32>,
    /// Number of pairs that each row is in, \[N\].
    counts: Vec<i32>,
}

impl PairList {
    /// Every two rows of a group of `size` consecutive rows.
    ///
    /// # Panics
    /// If the number of rows is not a multiple of `size`.
    pub(super) fn of_groups(rows: usize, size: usize) -> Self {
        assert!(
            size > 0 && rows.is_multiple_of(size),
            "groups of {size} rows do not divide a batch of {rows}"
        );
        let groups = (0..rows).step_by(size);
        Self::of(rows, groups.map(|first| (first..first + size).collect()))
    }

    /// Every two rows of a class.
    pub(super) fn of_classes(labels: &[i64]) -> Self {
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.sort_by_key(|&row| labels[row]);
        let classes = rows.chunk_by(|&a, &b| labels[a] == labels[b]);
        Self::of(labels.len(), classes.map(<[usize]>::to_vec))
    }

    fn of(rows: usize, groups: impl Iterator<Item = Vec<usize>>) -> Self {
        let mut pairs = Vec::new();
        for group in groups {
            for (k, &first) in group.iter().enumerate() {
                pairs.extend(group[k + 1..].iter().map(|&second| [first, second]));
            }
        }
        if pairs.is_empty() {
            // Tensors without entries are not supported. These rows differ in class, so the masks exclude the pair.
            pairs.push([0, rows.saturating_sub(1)]);
        }
        let mut of_row = vec![Vec::new(); rows];
        for (pair, ends) in pairs.iter().enumerate() {
            for &end in ends {
                of_row[end].push(pair as i32);
            }
        }
        let width = of_row.iter().map(Vec::len).max().unwrap_or(1);
        let repeated = |of_row: &Vec<i32>| {
            let found = of_row.iter().copied();
            let filler = of_row.first().copied().unwrap_or(0);
            let filled = found.chain(std::iter::repeat(filler)).take(width);
            filled.collect::<Vec<_>>()
        };
        Self {
            first: pairs.iter().map(|&[first, _]| first as i32).collect(),
            second: pairs.iter().map(|&[_, second]| second as i32).collect(),
            of_rows: of_row.iter().flat_map(repeated).collect(),
            counts: of_row.iter().map(|pairs| pairs.len() as i32).collect(),
        }
    }

    /// The pairs on a device.
    pub(super) fn on_device<B: Backend>(&self, device: &B::Device) -> PairsOfRows<B> {
        let rows = self.counts.len();
        let upload = |values: &[i32]| Tensor::<B, 1, Int>::from_ints(values, device);
        PairsOfRows {
            pairs: PairRows {
                first: upload(&self.first),
                second: upload(&self.second),
            },
            of_rows: upload(&self.of_rows),
            is_in_pair: upload(&self.counts).greater_elem(0).reshape([rows, 1]),
        }
    }
}

/// [`PairList`] on a device.
pub(super) struct PairsOfRows<B: Backend> {
    pub(super) pairs: PairRows<B>,
    /// W pairs for each row, \[N · W\].
    of_rows: Tensor<B, 1, Int>,
    /// Whether each row is in a pair, \[N, 1\].
    is_in_pair: Tensor<B, 2, Bool>,
}

impl<B: Backend> PairsOfRows<B> {
    /// Returns for each of R rows of values the nearest to every row of the batch: of the values of the pairs that it
    /// is in.
    ///
    /// # Shapes
    /// - values: \[R, P\]
    /// - output: \[R, N\]
    pub(super) fn nearest_of_columns(
        &self,
        values: Tensor<B, 2>,
        measure: Measure,
    ) -> Tensor<B, 2> {
        let ([height, _], [rows, width]) = (values.dims(), self.shape());
        let values = values.select(1, self.of_rows.clone());
        nearest(values.reshape([height, rows, width]), 2, measure).reshape([height, rows])
    }

    /// [`nearest_of_columns`](Self::nearest_of_columns) for the columns of values.
    ///
    /// # Shapes
    /// - values: \[P, C\]
    /// - output: \[N, C\]
    pub(super) fn nearest_of_rows(&self, values: Tensor<B, 2>, measure: Measure) -> Tensor<B, 2> {
        let ([_, columns], [rows, width]) = (values.dims(), self.shape());
        let values = values.select(0, self.of_rows.clone());
        nearest(values.reshape([rows, width, columns]), 1, measure).reshape([rows, columns])
    }

    /// Returns whether each row is in a pair, and in pairs of its class only, \[N, 1\], for labels \[N\].
    pub(super) fn has_curves(&self, labels: Tensor<B, 1, Int>) -> Tensor<B, 2, Bool> {
        let [rows, width] = self.shape();
        let [first, second] = self.pairs.ends(labels, 0);
        let differ = first.not_equal(second).int();
        let differ = differ.select(0, self.of_rows.clone());
        let differences = differ.reshape([rows, width]).sum_dim(1);
        self.is_in_pair.clone().bool_and(differences.lower_elem(1))
    }

    /// N and W.
    fn shape(&self) -> [usize; 2] {
        let rows = self.is_in_pair.dims()[0];
        [rows, self.of_rows.dims()[0] / rows]
    }
}

fn nearest<B: Backend>(values: Tensor<B, 3>, dim: usize, measure: Measure) -> Tensor<B, 3> {
    match measure {
        Measure::Distance => values.min_dim(dim),
        Measure::InnerProduct => values.max_dim(dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &PairList) -> Vec<(i32, i32)> {
        let ends = list.first.iter().copied().zip(list.second.iter().copied());
        ends.collect()
    }

    #[test]
    fn groups_have_every_two_of_their_rows() {
        let list = PairList::of_groups(6, 3);
        assert_eq!(
            pairs(&list),
            [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
        );
        assert_eq!(list.of_rows, [0, 1, 0, 2, 1, 2, 3, 4, 3, 5, 4, 5]);
        assert_eq!(list.counts, [2; 6]);
        assert_eq!(pairs(&PairList::of_groups(4, 2)), [(0, 1), (2, 3)]);
    }

    #[test]
    fn classes_of_any_size_and_order_have_every_two_of_their_rows() {
        let list = PairList::of_classes(&[7, 3, 7, 9, 7]);
        assert_eq!(pairs(&list), [(0, 2), (0, 4), (2, 4)]);
        assert_eq!(list.counts, [2, 0, 2, 0, 2]);
        assert_eq!(list.of_rows, [0, 1, 0, 0, 0, 2, 0, 0, 1, 2]);
    }

    #[test]
    fn batches_without_a_pair_have_one_of_two_classes() {
        assert_eq!(pairs(&PairList::of_classes(&[4, 5, 6])), [(0, 2)]);
        assert_eq!(pairs(&PairList::of_classes(&[4])), [(0, 0)]);
    }
}
