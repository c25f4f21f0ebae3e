//! The inner products of the frames of every two pairs.

use std::ops::Range;

use burn::tensor::{Tensor, backend::Backend};

use super::diagonal::diagonal;

/// Inner products of the frames of every two pairs, each \[P, P\], or some rows of them.
#[derive(Debug, Clone)]
pub(super) struct FrameProducts<B: Backend> {
    /// mᵢ·mⱼ.
    pub(super) mm: Tensor<B, 2>,
    /// mᵢ·tⱼ.
    pub(super) mt: Tensor<B, 2>,
    /// tᵢ·mⱼ.
    pub(super) tm: Tensor<B, 2>,
    /// tᵢ·tⱼ.
    pub(super) tt: Tensor<B, 2>,
}

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

impl<B: Backend> FrameProducts<B> {
    /// The products of pairs of two equal ends with themselves, from the squares of the ends, \[R, 1\].
    pub(super) fn of_points(squares: Tensor<B, 2>) -> Self {
        let zeros = squares.zeros_like();
        Self {
            mm: squares,
            mt: zeros.clone(),
            tm: zeros.clone(),
            tt: zeros,
        }
    }

    pub(super) fn map(self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            mm: f(self.mm),
            mt: f(self.mt),
            tm: f(self.tm),
            tt: f(self.tt),
        }
    }

    /// The products of some rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        if rows.len() == self.mm.dims()[0] {
            return self.clone();
        }
        self.clone().map(|products| products.slice([rows.clone()]))
    }

    /// The products of every pair with itself, each \[P, 1\].
    pub(super) fn own(&self) -> Self {
        self.clone().map(diagonal)
    }

    /// Returns the sum of the four products of `self` ⊙ `coefficients`.
    pub(super) fn weighted_sum(self, coefficients: Self) -> Tensor<B, 2> {
        self.mm * coefficients.mm
            + self.mt * coefficients.mt
            + self.tm * coefficients.tm
            + self.tt * coefficients.tt
    }
}
