//! The nearest points of the grids of two pairs.

use std::ops::Range;

use burn::tensor::{Tensor, backend::Backend};

use crate::geometry::envelope::reciprocal_or_zero;
use crate::geometry::frame_products::FrameProducts;
use crate::geometry::frames::FrameComparisons;
use crate::geometry::lengths::length_of_square;
use crate::geometry::measure::Measure;

/// The points of R pairs compared with those of P pairs, without gradient.
pub(super) struct Grid<B: Backend> {
    pub(super) frames: FrameComparisons<B>,
    /// n.
    pub(super) points: usize,
    pub(super) normalized: bool,
    pub(super) measure: Measure,
}

/// The nearest two points so far, each \[R, P\]. A larger score means nearer.
#[derive(Clone)]
pub(super) struct Best<B: Backend> {
    score: Tensor<B, 2>,
    pub(super) tau: Tensor<B, 2>,
    pub(super) sigma: Tensor<B, 2>,
}

impl<B: Backend> Best<B> {
    fn or(self, other: Self) -> Self {
        let better = other.score.clone().greater(self.score.clone());
        Self {
            score: self.score.mask_where(better.clone(), other.score),
            tau: self.tau.mask_where(better.clone(), other.tau),
            sigma: self.sigma.mask_where(better, other.sigma),
        }
    }
}

/// The points of all pairs of one side at one position of the grid.
struct GridPoint<B: Backend> {
    /// τ or σ.
    at: f64,
    /// The factor that scales the point; 0 if the point has no direction.
    scale: Tensor<B, 2>,
    /// The part of the score that depends on this point only.
    penalty: Tensor<B, 2>,
}

impl<B: Backend> Grid<B> {
    /// The comparisons of some rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            frames: self.frames.rows(rows),
            ..*self
        }
    }

    /// Returns the nearest points of every two images: x₁x₁, x₁x₂, x₂x₁, x₂x₂.
    pub(super) fn nearest(&self) -> [Best<B>; 4] {
        let grid_points = |own: &FrameProducts<B>| -> Vec<GridPoint<B>> {
            (0..self.points + 2)
                .map(|k| -1.0 + 2.0 * k as f64 / (self.points + 1) as f64)
                .map(|at| self.grid_point(own, at))
                .collect()
        };
        let (of_rows, of_columns) = (
            grid_points(&self.frames.of_rows),
            grid_points(&self.frames.of_columns),
        );
        // q·m and q·t for the rows' frames and every grid point q of the columns.
        let FrameProducts { mm, mt, tm, tt } = self.frames.products.clone();
        let seen: Vec<_> = of_columns
            .iter()
            .map(|q| {
                (
                    (mm.clone() + mt.clone().mul_scalar(q.at)) * q.scale.clone(),
                    (tm.clone() + tt.clone().mul_scalar(q.at)) * q.scale.clone(),
                )
            })
            .collect();
        let pair = |k: usize, l: usize| {
            let (p, q, (by_m, by_t)) = (&of_rows[k], &of_columns[l], &seen[l]);
            let product = (by_m.clone() + by_t.clone().mul_scalar(p.at)) * p.scale.clone();
            let score = product - p.penalty.clone() - q.penalty.clone();
            Best {
                tau: score.ones_like().mul_scalar(p.at),
                sigma: score.ones_like().mul_scalar(q.at),
                score,
            }
        };
        let best = |rows: &[usize], columns: &[usize]| {
            let all = rows
                .iter()
                .flat_map(|&k| columns.iter().map(move |&l| (k, l)));
            all.map(|(k, l)| pair(k, l))
                .reduce(Best::or)
                .expect("an image owns a point")
        };
        let inner: Vec<usize> = (1..=self.points).collect();
        let ends = [[0], [self.points + 1]];
        let between_inner = best(&inner, &inner);
        let from_end = ends.map(|end| best(&end, &inner));
        let to_end = ends.map(|end| best(&inner, &end));
        let images = [(0, 0), (0, 1), (1, 0), (1, 1)];
        images.map(|(x, y)| {
            best(&ends[x], &ends[y])
                .or(from_end[x].clone())
                .or(to_end[y].clone())
                .or(between_inner.clone())
        })
    }

    fn grid_point(&self, own: &FrameProducts<B>, at: f64) -> GridPoint<B> {
        let square = square_at(own, own.mm.ones_like().mul_scalar(at));
        let (scale, penalty) = if self.normalized {
            let scale = reciprocal_or_zero(length_of_square(square));
            // Excludes points without a direction: every cosine is larger.
            let penalty = scale
                .zeros_like()
                .mask_fill(scale.clone().equal_elem(0.0), 4.0);
            (scale, penalty)
        } else {
            let penalty = match self.measure {
                // p·q − ½|p|² − ½|q|² is −½|p − q|².
                Measure::Distance => square.mul_scalar(0.5),
                Measure::InnerProduct => square.zeros_like(),
            };
            (penalty.ones_like(), penalty)
        };
        GridPoint { at, scale, penalty }
    }
}

/// Returns |m + τ t|² from the products of a frame with itself.
pub(super) fn square_at<B: Backend>(own: &FrameProducts<B>, tau: Tensor<B, 2>) -> Tensor<B, 2> {
    own.mm.clone() + tau.clone() * (own.mt.clone().mul_scalar(2.0) + tau * own.tt.clone())
}
