//! Nearest points of a grid on the segments between neighbouring embeddings (Embedding Expansion,
//! arXiv 2003.02546, section 3.1).
//!
//! Letters: between the images x₁, x₂ of pair i lie n inner points; with both images these are
//! p = m + τ t for τ = −1 + 2k/(n + 1), k = 0 … n + 1, where m = (x₁ + x₂)/2 and t = (x₂ − x₁)/2,
//! scaled to unit length when embeddings are. q with σ is the same of pair j. An image owns itself and
//! the n inner points, not the other image.
//!
//! p·q and |p|² are made of the inner products of the frames, so that no point is ever built and
//! memory does not grow with n. **Gradient**: that of the chosen two points (0 where they coincide).
//! A point without a direction, the middle of two opposite images, is left out.
//!
//! **Accuracy**: distances as those of [arcs](super::arcs). The gradient is rounded to the caller's
//! float type, by 1e-7/d of its length for points at distance d.

use burn::tensor::{Tensor, backend::Backend};

use super::Measure;
use super::envelope::{in_row_chunks, reciprocal_or_zero, with_derivative};
use super::frames::{FrameProducts, Frames, FramesBeside};
use super::lengths::length_of_square;

/// For every two images the smallest distance, or the largest inner product, between a point that
/// one owns and a point that the other owns: the image itself, or one of the `points` inner points
/// between it and its neighbour (rows 2i and 2i + 1).
///
/// It takes (n + 2)² evaluations of \[N/2, N/2\] matrices and memory that does not depend on n.
///
/// # Shapes
/// - embeddings: \[N, D\], scaled to unit length first where `normalized`, and the inner points too
/// - output: \[N, N\], symmetric; what stands between an image and itself or its neighbour means
///   nothing
///
/// # Panics
/// If the number of rows is odd, or if `points` is 0.
pub fn inner_point_approach<B: Backend>(
    embeddings: Tensor<B, 2>,
    points: usize,
    normalized: bool,
    measure: Measure,
) -> Tensor<B, 2> {
    assert!(points > 0, "between two images lies at least one point");
    let frames = Frames::of_neighbours(embeddings, normalized);
    let pairs = frames.pairs;
    let grid = Grid {
        frames: frames.beside(),
        points,
        normalized,
        measure,
    };
    // Of the images x₁x₁, x₁x₂, x₂x₁, x₂x₂ of the two pairs.
    let found: [Tensor<B, 2>; 4 * DERIVATIVE] = in_row_chunks(pairs, pairs, |rows| {
        let grid = grid.rows(rows);
        let found = grid
            .nearest()
            .into_iter()
            .flat_map(|best| grid.derivative(best));
        // In the caller's float type: these are sixteen times as many numbers as the products.
        let found: Vec<_> = found.map(|matrix| matrix.cast(frames.dtype)).collect();
        found.try_into().expect("four times as many matrices")
    });
    let live = frames
        .live
        .clone()
        .map(|products| products.cast(frames.dtype));
    let own = live.own();
    let mut found = found.into_iter();
    let mut next = || found.next().expect("counted");
    let approaches: Vec<_> = (0..4)
        .map(|_| {
            let value = next();
            let across = FrameProducts {
                mm: next(),
                mt: next(),
                tm: next(),
                tt: next(),
            };
            let half = live.clone().weighted_sum(across)
                + next() * own.mm.clone()
                + next() * (own.mt.clone() + own.tm.clone())
                + next() * own.tt.clone();
            (value, half)
        })
        .collect();
    let between = |x: usize, y: usize| {
        let (value, half) = approaches[2 * x + y].clone();
        let (_, other_half) = approaches[2 * y + x].clone();
        with_derivative(value, half, other_half, frames.dtype)
    };
    let rows_of = |x: usize| {
        Tensor::stack::<3>(vec![between(x, 0), between(x, 1)], 2).reshape([pairs, 2 * pairs])
    };
    Tensor::stack::<3>(vec![rows_of(0), rows_of(1)], 1).reshape([2 * pairs, 2 * pairs])
}

/// Matrices that [`Grid::derivative`] gives.
const DERIVATIVE: usize = 8;

/// Some rows' points beside all points, without gradient. R rows, P pairs.
struct Grid<B: Backend> {
    frames: FramesBeside<B>,
    /// n.
    points: usize,
    normalized: bool,
    measure: Measure,
}

/// The best two points so far, each \[R, P\]: the larger the score the nearer.
#[derive(Clone)]
struct Best<B: Backend> {
    score: Tensor<B, 2>,
    tau: Tensor<B, 2>,
    sigma: Tensor<B, 2>,
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

/// The points of one side at one place of the grid.
struct ComputeContext<B: Backend> {
    at: f64,
    /// What the point is divided by, as a factor; 0 where it has no direction.
    scale: Tensor<B, 2>,
    /// What its length takes off the score.
    penalty: Tensor<B, 2>,
}

impl<B: Backend> Grid<B> {
    fn rows(&self, rows: std::ops::Range<usize>) -> Self {
        Self {
            frames: self.frames.rows(rows),
            ..*self
        }
    }

    /// The nearest points of every two images: x₁x₁, x₁x₂, x₂x₁, x₂x₂.
    fn nearest(&self) -> [Best<B>; 4] {
        let places = |own: &FrameProducts<B>| -> Vec<ComputeContext<B>> {
            (0..self.points + 2)
                .map(|k| -1.0 + 2.0 * k as f64 / (self.points + 1) as f64)
                .map(|at| self.place(own, at))
                .collect()
        };
        let (of_rows, of_columns) = (
            places(&self.frames.of_rows),
            places(&self.frames.of_columns),
        );
        // q·m and q·t of the rows' frames, for every place of the columns.
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

    fn place(&self, own: &FrameProducts<B>, at: f64) -> ComputeContext<B> {
        let square = square_at(own, own.mm.ones_like().mul_scalar(at));
        let (scale, penalty) = if self.normalized {
            let scale = reciprocal_or_zero(length_of_square(square));
            // Below every cosine.
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
        ComputeContext { at, scale, penalty }
    }

    /// The measure of two points, and row i's half of its derivative: the coefficients of m·m, m·t,
    /// t·m, t·t, then those of m·m, m·t + t·m and t·t of row i with itself, one factor of each being
    /// live; each \[R, P\].
    fn derivative(&self, best: Best<B>) -> [Tensor<B, 2>; DERIVATIVE] {
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
                    let apart = self.frames.squared_distance(tau.clone(), sigma.clone());
                    let square = (apart - longer.clone() * longer) * scale.clone();
                    // A point without a direction is at right angles to all.
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
                    let apart = self.frames.squared_distance(tau.clone(), sigma.clone());
                    let value = length_of_square(apart);
                    let by = reciprocal_or_zero(value.clone());
                    (value, by.clone().neg(), by)
                }
            }
        };
        // dp = dm + τ dt times to_q q + to_p p.
        let (t_to_q, t_to_p) = (to_q.clone() * tau.clone(), to_p.clone() * tau.clone());
        let own_mt = if self.normalized {
            // Of the parts along the rows themselves (see `Frames`), E is 0, for the derivative has
            // no part along p.
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

/// |m + τ t|² from the products of a frame with itself.
fn square_at<B: Backend>(own: &FrameProducts<B>, tau: Tensor<B, 2>) -> Tensor<B, 2> {
    own.mm.clone() + tau.clone() * (own.mt.clone().mul_scalar(2.0) + tau * own.tt.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::{arc_approach, segment_distances};

    const PAIRS: usize = 6;

    /// The smallest distance between any two points of two pairs, \[P, P\].
    fn distances_of_pairs(rows: &Rows, points: usize, normalized: bool) -> Vec<f64> {
        let images = tensor::<TestBackend>(rows);
        let images = inner_point_approach(images, points, normalized, Measure::Distance);
        let of_first = images.reshape([PAIRS, 2, 2 * PAIRS]).min_dim(1);
        let of_both = of_first.reshape([PAIRS * PAIRS, 2]).min_dim(1);
        values(of_both)
    }

    /// How far at most the nearest point of a grid of `points` is from any point of the curve
    /// between two ends, along the curve.
    fn half_step(x: &[f64], y: &[f64], points: usize, normalized: bool) -> f64 {
        let apart = point_distance(x, y);
        let step = apart / (points + 1) as f64;
        if normalized {
            // Seen from the centre the steps are the longest at the middle of the chord, which is
            // |x + y|/2 away.
            let opposite: Vec<f64> = y.iter().map(|y| -y).collect();
            step.atan2(point_distance(x, &opposite) / 2.0) / 2.0
        } else {
            step / 2.0
        }
    }

    #[test]
    fn distances_fall_to_those_of_the_curves_as_the_grid_grows() {
        // The accuracy of arcs that are nearly half circles.
        const TOLERANCE: f64 = 1e-5;

        for (dim, normalized) in [(3, true), (16, true), (3, false), (16, false)] {
            for kind in Kind::ALL {
                let rows = kind.rows(PAIRS, dim, 8);
                let wide = widened(&rows);
                let curves = tensor::<TestBackend>(&rows);
                let curves = values(if normalized {
                    arc_approach(curves, Measure::Distance)
                } else {
                    segment_distances(curves)
                });
                let mut coarser = vec![f64::INFINITY; PAIRS * PAIRS];
                // Each grid has the points of the one before.
                for points in [1, 3, 7, 15, 63] {
                    let grid = distances_of_pairs(&rows, points, normalized);
                    let step =
                        |i: usize| half_step(&wide[2 * i], &wide[2 * i + 1], points, normalized);
                    let pairs = (0..PAIRS).flat_map(|i| (0..PAIRS).map(move |j| (i, j)));
                    for (i, j) in pairs.filter(|(i, j)| i != j) {
                        let k = i * PAIRS + j;
                        let case = format!(
                            "{kind:?} in {dim} dimensions, pairs {i} and {j}, {points} points: {} \
                             on the grid, {} on the curves",
                            grid[k], curves[k]
                        );
                        assert!(grid[k] >= curves[k] - TOLERANCE, "below: {case}");
                        assert!(grid[k] <= coarser[k] + 1e-6, "rises: {case}");
                        assert!(
                            grid[k] <= curves[k] + step(i) + step(j) + TOLERANCE,
                            "far: {case}"
                        );
                    }
                    coarser = grid;
                }
            }
        }
    }

    #[test]
    fn gradients_are_finite_for_pairs_of_every_kind() {
        for (dim, normalized) in [(2, true), (64, true), (2, false), (64, false)] {
            for (kind, points) in [2, 3].into_iter().flat_map(|n| Kind::ALL.map(|k| (k, n))) {
                for measure in [Measure::Distance, Measure::InnerProduct] {
                    let approach = |rows| inner_point_approach(rows, points, normalized, measure);
                    let (value, gradient) = weighted_sum(approach, &kind.rows(8, dim, 5));
                    assert!(
                        value.is_finite() && gradient.iter().all(|x| x.is_finite()),
                        "{kind:?} in {dim} dimensions, {points} points, {measure:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn middle_of_opposite_images_has_no_direction_and_is_left_out() {
        let rows = vec![
            vec![1.0, 0.0, 0.0],
            vec![-1.0, 0.0, 0.0],
            vec![-0.6, 0.8, 0.0],
            vec![-0.6, 0.8, 0.0],
        ];
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let distances = inner_point_approach(leaf.clone(), 1, true, Measure::Distance);
        let between = values(distances.clone().slice([0..2, 2..3]));
        // Of the images themselves; a middle of length 0 would stand at √2.
        let expected = [f64::sqrt(3.2), f64::sqrt(0.8)];
        assert!(point_distance(&between, &expected) < 1e-6);
        let gradient = values(leaf.grad(&distances.sum().backward()).unwrap());
        assert!(gradient.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn points_of_pairs_that_touch_have_distance_zero_and_gradient_zero() {
        let rows = vec![
            vec![0.8, 0.6, 0.0],
            vec![0.8, -0.6, 0.0],
            vec![0.8, 0.0, 0.6],
            vec![0.8, 0.0, -0.6],
        ];
        for normalized in [true, false] {
            let leaf = tensor::<TestAutodiff>(&rows).require_grad();
            let distances = inner_point_approach(leaf.clone(), 1, normalized, Measure::Distance);
            let between = distances.slice([0..2, 2..4]);
            assert_eq!(values(between.clone()), [0.0; 4]);
            let gradient = values(leaf.grad(&between.sum().backward()).unwrap());
            assert!(gradient.iter().all(|&x| x == 0.0), "{gradient:?}");
        }
    }
}
