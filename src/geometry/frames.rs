//! The middles and half differences of pairs of embeddings. Arcs, segments and inner points are computed
//! from their inner products.

use std::ops::Range;

use burn::tensor::{FloatDType, Tensor, backend::Backend};

use super::frame_kernels;
use super::frame_products::{FrameProducts, PairProducts};
use super::lengths::reciprocal_lengths;
use super::precision::widen;
use super::products::{SplitRows, own_products, squared_distances};
use super::transpose::transpose;
use crate::kernels::closest_points::Approach;

/// P pairs (x₁, x₂), represented by inner products of their middles m = (x₁ + x₂)/2 and half differences
/// t = (x₂ − x₁)/2, in the widest float type of the device. A point of the pair's segment is m + τ t
/// with −1 ≤ τ ≤ 1.
///
/// # Scaled rows
/// With a = ∂/∂m and b = ∂/∂t of an expression, the derivative in x₁ is (a − b)/2 and that in x₂ is
/// (a + b)/2. Subtracting E(|m|² + |t|²) + 2F m·t, as products with one live factor, removes their parts
/// along the unit vectors x₁ and x₂, where E = a·m + b·t and F = a·t + b·m. This costs less than
/// differentiating the scaling of 2P vectors of length D.
#[derive(Debug, Clone)]
pub(crate) struct Frames<B: Backend> {
    /// Inner products with a gradient with respect to the row's pair.
    pub(super) live: PairProducts<B>,
    /// The same inner products without gradient, exact to the rounding of the float type.
    pub(super) fixed: PairProducts<B>,
    /// |mᵢ − mⱼ|², \[P, P\], without the cancellation of mᵢ·mᵢ + mⱼ·mⱼ − 2 mᵢ·mⱼ.
    pub(super) squared_middle_distances: Tensor<B, 2>,
    /// The float type of the embeddings and of the results.
    pub(super) dtype: FloatDType,
    /// Number of pairs P.
    pub(super) pairs: usize,
}

impl<B: Backend> Frames<B> {
    /// Creates the frames of the pairs of rows 2i and 2i + 1, scaled to unit length first if
    /// `normalized`.
    ///
    /// The scale factors are constants in the gradient of `live`. A derivative with respect to the
    /// directions of the rows must therefore have its parts along the rows removed, which needs
    /// [inner products only](Self#scaled-rows).
    ///
    /// # Shapes
    /// - embeddings: \[2P, D\]
    ///
    /// # Panics
    /// If the number of rows is odd.
    pub(crate) fn from_neighbours(embeddings: Tensor<B, 2>, normalized: bool) -> Self {
        let [rows, dim] = embeddings.dims();
        assert!(
            rows.is_multiple_of(2),
            "rows 2i and 2i + 1 are a pair, but there are {rows}"
        );
        let pairs = rows / 2;
        let dtype = embeddings.dtype().into();
        if normalized && let Some(found) = frame_kernels::products_of_unit_frames(&embeddings) {
            return Self {
                live: PairProducts::Stacked(found.live),
                fixed: PairProducts::Stacked(found.fixed),
                squared_middle_distances: found.squared_middle_distances,
                dtype,
                pairs,
            };
        }

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
        let rows = Tensor::cat(vec![m, t], 0);
        let split = if normalized {
            SplitRows::from_unit(rows.clone())
        } else {
            SplitRows::from_rows(rows.clone())
        };
        let (products, live) = own_products(rows, &split);
        let of_middles = |level: &Tensor<B, 2>| level.clone().slice([0..pairs, 0..pairs]);
        Self {
            live: PairProducts::Stacked(live),
            fixed: PairProducts::Stacked(products.linear(Tensor::clone)),
            squared_middle_distances: products
                .linear(|level| squared_distances(&of_middles(level))),
            dtype,
            pairs,
        }
    }

    /// Compares the curves of every two pairs, \[P, P\], where [kernels](crate::kernels) are available.
    pub(super) fn closest_points_by_kernel(&self, approach: Approach) -> Option<Tensor<B, 2>> {
        let products = [&self.live, &self.fixed];
        let middles = &self.squared_middle_distances;
        let approach = frame_kernels::closest_points(products, middles, approach)?;
        Some(approach.cast(self.dtype))
    }

    /// Compares all pairs with all pairs, without gradient.
    pub(super) fn comparisons(&self) -> FrameComparisons<B> {
        let products = self.fixed.blocks();
        let own = products.own();
        FrameComparisons {
            products,
            of_columns: own.clone().map(transpose),
            of_rows: own,
            squared_middle_distances: self.squared_middle_distances.clone(),
        }
    }

    /// Returns the squared distances of every two ends, without gradient.
    ///
    /// # Shapes
    /// - output: \[2P, 2P\]; rows and columns are x₁ of every pair, then x₂ of every pair
    pub(crate) fn squared_end_distances(&self) -> Tensor<B, 2> {
        let middles = &self.squared_middle_distances;
        if let Some(distances) = frame_kernels::squared_end_distances(&self.fixed, middles) {
            return distances;
        }
        let comparisons = self.comparisons();
        let ones = self.squared_middle_distances.ones_like();
        // x₁ is at τ = −1, x₂ at τ = 1.
        let ends = [ones.clone().neg(), ones];
        let rows = ends.clone().map(|tau| {
            let row = ends
                .clone()
                .map(|sigma| comparisons.squared_distance(tau.clone(), sigma));
            Tensor::cat(row.into(), 1)
        });
        Tensor::cat(rows.into(), 0)
    }

    /// Returns the inner products of every two ends, without gradient.
    ///
    /// # Shapes
    /// - output: \[2P, 2P\]; rows and columns are x₁ of every pair, then x₂ of every pair
    pub(crate) fn end_products(&self) -> Tensor<B, 2> {
        if let Some(products) = frame_kernels::end_products(&self.fixed) {
            return products;
        }
        let FrameProducts { mm, mt, tm, tt } = self.fixed.blocks();
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

/// R pairs compared with P pairs, without gradient.
#[derive(Debug, Clone)]
pub(super) struct FrameComparisons<B: Backend> {
    /// Products of the frames, \[R, P\].
    pub(super) products: FrameProducts<B>,
    /// Products of each row's frame with itself, \[R, 1\].
    pub(super) of_rows: FrameProducts<B>,
    /// Products of each column's frame with itself, \[1, P\].
    pub(super) of_columns: FrameProducts<B>,
    /// |mᵢ − mⱼ|², \[R, P\].
    pub(super) squared_middle_distances: Tensor<B, 2>,
}

impl<B: Backend> FrameComparisons<B> {
    /// Exchanges rows and columns.
    pub(super) fn transposed(&self) -> Self {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone().map(transpose);
        Self {
            products: FrameProducts {
                mm,
                mt: tm,
                tm: mt,
                tt,
            },
            of_rows: self.of_columns.clone().map(transpose),
            of_columns: self.of_rows.clone().map(transpose),
            squared_middle_distances: transpose(self.squared_middle_distances.clone()),
        }
    }

    /// The comparisons of some rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            products: self.products.rows(rows.clone()),
            of_rows: self.of_rows.rows(rows.clone()),
            of_columns: self.of_columns.clone(),
            squared_middle_distances: self.squared_middle_distances.clone().slice([rows]),
        }
    }

    /// Returns |mᵢ + τ tᵢ − mⱼ − σ tⱼ|² for τ and σ \[R, P\], computed from the difference of the middles
    /// so that large terms do not cancel for near points.
    pub(super) fn squared_distance(&self, tau: Tensor<B, 2>, sigma: Tensor<B, 2>) -> Tensor<B, 2> {
        let FrameProducts { mt, tm, tt, .. } = self.products.clone();
        // (mᵢ − mⱼ)·tᵢ and (mᵢ − mⱼ)·tⱼ.
        let along_i = self.of_rows.mt.clone() - tm;
        let along_j = mt - self.of_columns.mt.clone();
        let of_i = tau.clone() * (tau.clone() * self.of_rows.tt.clone() + along_i.mul_scalar(2.0));
        let of_j =
            sigma.clone() * (sigma.clone() * self.of_columns.tt.clone() - along_j.mul_scalar(2.0));
        self.squared_middle_distances.clone() + of_i + of_j - (tau * sigma * tt).mul_scalar(2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    #[test]
    fn end_products_equal_those_of_the_embeddings() {
        for kind in Kind::ALL {
            let rows = kind.rows(8, 64, 6);
            let frames = Frames::from_neighbours(tensor::<TestBackend>(&rows), true);
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
