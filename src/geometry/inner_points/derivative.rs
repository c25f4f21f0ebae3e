//! The measure of the nearest points, and its derivative.

use burn::tensor::{Tensor, backend::Backend};

use super::grid::{Best, Grid, square_at};
use crate::geometry::envelope::reciprocal_or_zero;
use crate::geometry::frame_products::FrameProducts;
use crate::geometry::lengths::length_of_square;
use crate::geometry::measure::Measure;

/// Number of matrices that [`Grid::derivative`] returns.
pub(super) const DERIVATIVE: usize = 8;

impl<B: Backend> Grid<B> {
    /// Returns the measure of two points, and row i's half of its derivative: the coefficients of m·m,
    /// m·t, t·m, t·t, then those of m·m, m·t + t·m and t·t of row i with itself, each with one live
    /// factor; each \[R, P\].
    pub(super) fn derivative(&self, best: Best<B>) -> [Tensor<B, 2>; DERIVATIVE] {
        let Best { tau, sigma, .. } = best;
        let FrameProducts { mm, mt, tm, tt } = self.frames.products.clone();
        let q_along_t = tm + sigma.clone() * tt;
        let product = mm + sigma.clone() * mt + tau.clone() * q_along_t.clone();
        let square_p = square_at(&self.frames.of_rows, tau.clone());
        let square_q = square_at(&self.frames.of_columns, sigma.clone());
        let (value, to_q, to_p) = if self.normalized {
            let (length_p, length_q) = (length_of_square(square_p), length_of_square(square_q));
            let per_p = reciprocal_or_zero(length_p.clone());
            let scale = per_p.clone() * reciprocal_or_zero(length_q.clone());
            let cosine = product * scale.clone();
            let from_p = cosine.clone() * per_p.clone() * per_p;
            match self.measure {
                Measure::InnerProduct => (cosine, scale, from_p.neg()),
                Measure::Distance => {
                    // |p/|p| − q/|q||² is (|p − q|² − (|p| − |q|)²)/(|p||q|).
                    let longer = length_p - length_q;
                    let squared = self.frames.squared_distance(tau.clone(), sigma.clone());
                    let square = (squared - longer.clone() * longer) * scale.clone();
                    // A point without a direction counts as orthogonal to every other.
                    let undirected = scale.clone().equal_elem(0.0);
                    let value = length_of_square(square.mask_fill(undirected, 2.0));
                    let by = reciprocal_or_zero(value.clone());
                    (value, scale * by.clone().neg(), from_p * by)
                }
            }
        } else {
            match self.measure {
                Measure::InnerProduct => {
                    let (ones, zeros) = (product.ones_like(), product.zeros_like());
                    (product, ones, zeros)
                }
                Measure::Distance => {
                    let squared = self.frames.squared_distance(tau.clone(), sigma.clone());
                    let value = length_of_square(squared);
                    let by = reciprocal_or_zero(value.clone());
                    (value, by.clone().neg(), by)
                }
            }
        };
        // The product of dp = dm + τ dt with to_q q + to_p p.
        let (t_to_q, t_to_p) = (to_q.clone() * tau.clone(), to_p.clone() * tau.clone());
        let own_mt = if self.normalized {
            // The derivative is orthogonal to p, so E is 0 in the parts along the rows themselves (see
            // `Frames`).
            let own = &self.frames.of_rows;
            let p_along_t = own.tm.clone() + tau.clone() * own.tt.clone();
            let along_t = to_q.clone() * q_along_t + to_p.clone() * p_along_t;
            let ends = (tau.clone() * tau.clone()).neg().add_scalar(1.0);
            t_to_p.clone() - ends * along_t
        } else {
            t_to_p.clone()
        };
        [
            value,
            to_q.clone(),
            to_q * sigma.clone(),
            t_to_q.clone(),
            t_to_q * sigma,
            to_p,
            own_mt,
            t_to_p * tau,
        ]
    }
}
