//! The inner products of the frames of every two pairs.

use std::ops::Range;

use burn::tensor::{Tensor, backend::Backend};

use super::frames::FrameProducts;

/// The inner products of the frames of every two pairs, as one matrix or as four.
#[derive(Debug, Clone)]
pub(super) enum PairProducts<B: Backend> {
    /// Of m of every pair, then of t of every pair, \[2P, 2P\].
    Stacked(Tensor<B, 2>),
    /// \[P, P\] each.
    Blocks(FrameProducts<B>),
}

impl<B: Backend> PairProducts<B> {
    /// Returns the four matrices.
    pub(super) fn blocks(&self) -> FrameProducts<B> {
        let products = match self {
            Self::Stacked(products) => products,
            Self::Blocks(products) => return products.clone(),
        };
        let [rows, _] = products.dims();
        let (m, t) = (0..rows / 2, rows / 2..rows);
        let block =
            |i: &Range<usize>, j: &Range<usize>| products.clone().slice([i.clone(), j.clone()]);
        FrameProducts {
            mm: block(&m, &m),
            mt: block(&m, &t),
            tm: block(&t, &m),
            tt: block(&t, &t),
        }
    }

    /// Returns the matrix of all products.
    pub(super) fn stacked(&self) -> Tensor<B, 2> {
        let FrameProducts { mm, mt, tm, tt } = match self {
            Self::Stacked(products) => return products.clone(),
            Self::Blocks(products) => products.clone(),
        };
        let rows = [[mm, mt], [tm, tt]].map(|row| Tensor::cat(row.into(), 1));
        Tensor::cat(rows.into(), 0)
    }
}
