//! Pairs of rows of a batch, any row in any number of pairs.

use burn::tensor::{BasicOps, Int, Tensor, TensorKind, backend::Backend};

/// P pairs of rows (x₁, x₂) of a batch of N rows.
#[derive(Debug, Clone)]
pub(crate) struct PairRows<B: Backend> {
    /// The row of x₁ of each pair, \[P\].
    pub(crate) first: Tensor<B, 1, Int>,
    /// The row of x₂ of each pair, \[P\].
    pub(crate) second: Tensor<B, 1, Int>,
}

impl<B: Backend> PairRows<B> {
    /// Returns what belongs to x₁ and what belongs to x₂ along `dim` of a tensor, in which that dimension is the rows
    /// of the batch.
    pub(crate) fn ends<const D: usize, K>(
        &self,
        tensor: Tensor<B, D, K>,
        dim: usize,
    ) -> [Tensor<B, D, K>; 2]
    where
        K: TensorKind<B> + BasicOps<B>,
    {
        [&self.first, &self.second].map(|rows| tensor.clone().select(dim, rows.clone()))
    }

    /// Returns the entries of x₁ plus those of x₂: \[P, C\] for `dim` 0, \[R, P\] for `dim` 1.
    pub(super) fn sum(&self, matrix: Tensor<B, 2>, dim: usize) -> Tensor<B, 2> {
        let [first, second] = self.ends(matrix, dim);
        first + second
    }

    /// Returns the entries of x₂ minus those of x₁: \[P, C\] for `dim` 0, \[R, P\] for `dim` 1.
    pub(super) fn difference(&self, matrix: Tensor<B, 2>, dim: usize) -> Tensor<B, 2> {
        let [first, second] = self.ends(matrix, dim);
        second - first
    }

    /// Returns the larger of the entries of x₁ and x₂, of which one receives the gradient.
    pub(super) fn larger(&self, matrix: Tensor<B, 2>, dim: usize) -> Tensor<B, 2> {
        let [first, second] = self.ends(matrix, dim);
        let second_is_larger = second.clone().greater(first.clone());
        first.mask_where(second_is_larger, second)
    }

    /// Returns the entries of row p of \[P, N\] in the columns of the ends x₁ and x₂ of pair p, \[P, 1\] each.
    fn own_ends(&self, matrix: &Tensor<B, 2>) -> [Tensor<B, 2>; 2] {
        let [pairs, _] = matrix.dims();
        [&self.first, &self.second].map(|rows| {
            let columns = rows.clone().reshape([pairs, 1]);
            matrix.clone().gather(1, columns)
        })
    }

    /// [`sum`](Self::sum) over the columns, of pair p in row p, \[P, 1\].
    pub(super) fn own_sum(&self, matrix: &Tensor<B, 2>) -> Tensor<B, 2> {
        let [first, second] = self.own_ends(matrix);
        first + second
    }

    /// [`difference`](Self::difference) over the columns, of pair p in row p, \[P, 1\].
    pub(super) fn own_difference(&self, matrix: &Tensor<B, 2>) -> Tensor<B, 2> {
        let [first, second] = self.own_ends(matrix);
        second - first
    }
}
