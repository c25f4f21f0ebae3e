//! The middles and half differences of pairs of embeddings, from whose inner products arcs, segments
//! and inner points are all computed.

use std::ops::Range;

use burn::tensor::{FloatDType, Tensor, backend::Backend};

use super::lengths::{diagonal, reciprocal_lengths, widen};
use super::transpose;

/// P pairs (x₁, x₂) by their middles m = (x₁ + x₂)/2 and half differences t = (x₂ − x₁)/2, in the
/// widest float of the device. A point of the pair's line is m + τ t with −1 ≤ τ ≤ 1.
///
/// # Scaled rows
/// With a = ∂/∂m and b = ∂/∂t of some expression, the derivative in x₁ is (a − b)/2 and that in x₂ is
/// (a + b)/2. Their parts along unit vectors x₁ and x₂ vanish after subtracting E(|m|² + |t|²) + 2F m·t
/// as products of which one factor is live, where E = a·m + b·t and F = a·t + b·m. It is cheaper than
/// to derive the scaling of 2P vectors of length D.
#[derive(Debug, Clone)]
pub(crate) struct Frames<B: Backend> {
    /// Inner products with a gradient in the row's pair.
    pub(super) live: FrameProducts<B>,
    /// The same without gradient.
    pub(super) fixed: FrameProducts<B>,
    /// The float type of the embeddings, in which results are given.
    pub(super) dtype: FloatDType,
    /// Number of pairs P.
    pub(super) pairs: usize,
}

/// Inner products of the frames of every two pairs, each \[P, P\], or those of some rows.
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

impl<B: Backend> Frames<B> {
    /// The pairs of rows 2i and 2i + 1, scaled to unit length first where `normalized`.
    ///
    /// The factors that scale are constants to `live`. A derivative that is to be one in the
    /// directions of the rows has to be made free of the rows' own directions, which takes
    /// [inner products alone](Self#scaled-rows).
    ///
    /// # Shapes
    /// - embeddings: \[2P, D\]
    ///
    /// # Panics
    /// If the number of rows is odd.
    pub(crate) fn of_neighbours(embeddings: Tensor<B, 2>, normalized: bool) -> Self {
        let [rows, dim] = embeddings.dims();
        assert!(
            rows.is_multiple_of(2),
            "rows 2i and 2i + 1 are a pair, but there are {rows}"
        );
        let pairs = rows / 2;
        let dtype = embeddings.dtype().into();

        let ends = widen(embeddings);
        let ends = if normalized {
            ends.clone() * reciprocal_lengths(ends).mul_scalar(0.5)
        } else {
            ends.mul_scalar(0.5)
        };
        let ends = ends.reshape([pairs, 2 * dim]);
        let first = ends.clone().slice([0..pairs, 0..dim]);
        let second = ends.slice([0..pairs, dim..2 * dim]);
        let (m, t) = (first.clone() + second.clone(), second - first);
        let (m_of_j, t_of_j) = (transpose(m.clone().detach()), transpose(t.clone().detach()));
        let live = FrameProducts {
            mm: m.clone().matmul(m_of_j.clone()),
            mt: m.matmul(t_of_j.clone()),
            tm: t.clone().matmul(m_of_j),
            tt: t.matmul(t_of_j),
        };
        Self {
            fixed: live.clone().map(Tensor::detach),
            live,
            dtype,
            pairs,
        }
    }

    /// The inner products of every two ends, without gradient.
    ///
    /// # Shapes
    /// - output: \[2P, 2P\]; rows and columns are x₁ of every pair, then x₂ of every pair
    pub(crate) fn end_products(&self) -> Tensor<B, 2> {
        let FrameProducts { mm, mt, tm, tt } = self.fixed.clone();
        // x₁ = m − t, x₂ = m + t.
        let (even, odd) = (mm.clone() + tt.clone(), mt.clone() + tm.clone());
        let (across, along) = (mm - tt, mt - tm);
        Tensor::cat(
            vec![
                Tensor::cat(
                    vec![even.clone() - odd.clone(), across.clone() + along.clone()],
                    1,
                ),
                Tensor::cat(vec![across - along, even + odd], 1),
            ],
            0,
        )
    }
}

impl<B: Backend> FrameProducts<B> {
    pub(super) fn map(self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            mm: f(self.mm),
            mt: f(self.mt),
            tm: f(self.tm),
            tt: f(self.tt),
        }
    }

    /// Those of some rows only.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        if rows.len() == self.mm.dims()[0] {
            return self.clone();
        }
        self.clone().map(|products| products.slice([rows.clone()]))
    }

    /// Those of every pair with itself, each \[P, 1\].
    pub(super) fn own(&self) -> Self {
        self.clone().map(diagonal)
    }

    /// Σ over the four of `self` ⊙ `coefficients`.
    pub(super) fn weighted_sum(self, coefficients: Self) -> Tensor<B, 2> {
        self.mm * coefficients.mm
            + self.mt * coefficients.mt
            + self.tm * coefficients.tm
            + self.tt * coefficients.tt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;

    #[test]
    fn end_products_are_those_of_the_embeddings() {
        for kind in Kind::ALL {
            let rows = kind.rows(8, 64, 6);
            let frames = Frames::of_neighbours(tensor::<TestBackend>(&rows), true);
            let actual = values(frames.end_products());
            let rows = widened(&rows);
            let end = |k: usize| unit(&rows[if k < 8 { 2 * k } else { 2 * (k - 8) + 1 }]);
            for k in 0..16 {
                for l in 0..16 {
                    let expected = dot(&end(k), &end(l));
                    // The rounding of `f64`.
                    assert!(
                        (actual[16 * k + l] - expected).abs() < 1e-14,
                        "{kind:?}, {k}, {l}"
                    );
                }
            }
        }
    }
}
