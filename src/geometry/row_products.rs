//! Inner products of the rows of a batch, from which the frames of any pairs of its rows are gathered.
//!
//! A row may be in many pairs, so P pairs may be many more than the N rows. Products of the pairs' frames are sums
//! and differences of four products of rows each: one product of N × D matrices and O(P²) additions replace a
//! product of 2P × D matrices. Without `f64` they are added for each level of the products (`products.rs`), where
//! the sums are exact.

use burn::tensor::{FloatDType, Tensor, backend::Backend};

use super::diagonal::diagonal;
use super::frame_products::{FrameProducts, PairProducts};
use super::frames::{FrameComparisons, Frames};
use super::lengths::reciprocal_lengths;
use super::pair_rows::PairRows;
use super::point_frames::{LiveComparisons, PointFrames};
use super::precision::widen;
use super::products::{Products, SplitRows, own_products, squared_distances};
use super::transpose::transpose;

/// The inner products of the halves of every two rows, \[N, N\].
#[derive(Debug, Clone)]
pub(crate) struct RowProducts<B: Backend> {
    /// Without gradient.
    fixed: Products<B>,
    /// With a gradient with respect to the first row.
    live: Tensor<B, 2>,
    /// The float type of the embeddings and of the results.
    dtype: FloatDType,
}

impl<B: Backend> RowProducts<B> {
    /// Computes the products of rows, scaled to unit length first if `normalized`; see
    /// [`Frames::from_neighbours`].
    ///
    /// # Shapes
    /// - embeddings: \[N, D\]
    pub(crate) fn new(embeddings: Tensor<B, 2>, normalized: bool) -> Self {
        let dtype = embeddings.dtype().into();
        let rows = widen(embeddings);
        // The middle of two rows is the sum of their halves.
        let (rows, split) = if normalized {
            let rows = rows.clone() * reciprocal_lengths(rows).mul_scalar(0.5);
            (rows.clone(), SplitRows::from_unit(rows))
        } else {
            let rows = rows.mul_scalar(0.5);
            (rows.clone(), SplitRows::from_rows_up_to(rows, 0.5))
        };
        let (fixed, live) = own_products(rows, &split);
        Self { fixed, live, dtype }
    }

    /// Returns a quarter of the squared distance of every two rows, \[N, N\], without gradient.
    pub(crate) fn quarter_squared_distances(&self) -> Tensor<B, 2> {
        self.fixed.linear(squared_distances)
    }

    /// Returns a quarter of the inner product of every two rows, \[N, N\], without gradient.
    pub(crate) fn quarter_products(&self) -> Tensor<B, 2> {
        self.fixed.linear(Tensor::clone)
    }

    /// Gathers the frames of pairs of rows.
    pub(crate) fn frames(&self, pairs: &PairRows<B>) -> Frames<B> {
        let middles = self.fixed.map(|level| pairs.sum(level, 0));
        let differences = self.fixed.map(|level| pairs.difference(level, 0));
        let mm = middles.map(|level| pairs.sum(level, 1));
        let fixed = FrameProducts {
            mm: mm.linear(Tensor::clone),
            mt: middles.linear(|level| pairs.difference(level.clone(), 1)),
            tm: differences.linear(|level| pairs.sum(level.clone(), 1)),
            tt: differences.linear(|level| pairs.difference(level.clone(), 1)),
        };
        let (m, t) = (
            pairs.sum(self.live.clone(), 0),
            pairs.difference(self.live.clone(), 0),
        );
        let live = FrameProducts {
            mm: pairs.sum(m.clone(), 1),
            mt: pairs.difference(m, 1),
            tm: pairs.sum(t.clone(), 1),
            tt: pairs.difference(t, 1),
        };
        Frames {
            pairs: pairs.first.dims()[0],
            squared_middle_distances: mm.linear(squared_distances),
            live: PairProducts::Blocks(live),
            fixed: PairProducts::Blocks(fixed),
            dtype: self.dtype,
        }
    }

    /// Gathers the comparisons of every row, as a pair of two equal ends, with pairs of rows.
    pub(crate) fn point_frames(&self, pairs: &PairRows<B>) -> PointFrames<B> {
        let points = self.compared_points(pairs);
        let zeros = points.products.mt.zeros_like();
        let [mm, mt] = {
            let doubled = self.live.clone().mul_scalar(2.0);
            [pairs.sum(doubled.clone(), 1), pairs.difference(doubled, 1)]
        };
        let live_of_points = FrameProducts {
            mm,
            mt,
            tm: zeros.clone(),
            tt: zeros.clone(),
        };
        let own_points = diagonal(self.live.clone()).mul_scalar(4.0);
        let (m, t) = (
            pairs.sum(self.live.clone(), 0),
            pairs.difference(self.live.clone(), 0),
        );
        let zeros = transpose(zeros);
        let live_of_pairs = FrameProducts {
            mm: m.clone().mul_scalar(2.0),
            mt: zeros.clone(),
            tm: t.clone().mul_scalar(2.0),
            tt: zeros,
        };
        PointFrames {
            pairs: LiveComparisons {
                fixed: points.transposed(),
                live: live_of_pairs,
                own: own_products_of_pairs(&m, &t, pairs),
            },
            points: LiveComparisons {
                fixed: points,
                live: live_of_points,
                own: FrameProducts::of_points(own_points),
            },
            dtype: self.dtype,
        }
    }

    /// Returns the comparisons of every row with every pair, without gradient.
    fn compared_points(&self, pairs: &PairRows<B>) -> FrameComparisons<B> {
        // A row is twice its half, and the half difference of equal ends is 0.
        let points = self.fixed.map(|level| level.mul_scalar(2.0));
        let own_points = self.fixed.map(|level| diagonal(level).mul_scalar(4.0));
        let mm = points.map(|level| pairs.sum(level, 1));
        let mt = points.linear(|level| pairs.difference(level.clone(), 1));
        let middles = self.fixed.map(|level| pairs.sum(level, 0));
        let differences = self.fixed.map(|level| pairs.difference(level, 0));
        let own_middles = middles.map(|level| pairs.own_sum(&level));
        let own_pairs = FrameProducts {
            mm: own_middles.linear(Tensor::clone),
            mt: middles.linear(|level| pairs.own_difference(level)),
            tm: differences.linear(|level| pairs.own_sum(level)),
            tt: differences.linear(|level| pairs.own_difference(level)),
        };
        FrameComparisons {
            squared_middle_distances: mm.squared_distances(&own_points, &own_middles.transposed()),
            products: FrameProducts {
                tm: mt.zeros_like(),
                tt: mt.zeros_like(),
                mm: mm.linear(Tensor::clone),
                mt,
            },
            of_rows: FrameProducts::of_points(own_points.linear(Tensor::clone)),
            of_columns: own_pairs.map(transpose),
        }
    }
}

/// Returns the products of the frame of each pair with itself, from those of all middles and of all half differences
/// with all half rows, \[P, N\].
fn own_products_of_pairs<B: Backend>(
    middles: &Tensor<B, 2>,
    differences: &Tensor<B, 2>,
    pairs: &PairRows<B>,
) -> FrameProducts<B> {
    FrameProducts {
        mm: pairs.own_sum(middles),
        mt: pairs.own_difference(middles),
        tm: pairs.own_sum(differences),
        tt: pairs.own_difference(differences),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::simulated_device::{WITHOUT_F64, on};
    use crate::geometry::test_batches::Kind;
    use crate::geometry::{Measure, arcs, segments};

    /// The pairs of rows 2i and 2i + 1.
    fn neighbours<B: Backend>(count: i64) -> PairRows<B> {
        let rows =
            |first| Tensor::<B, 1, Int>::arange_step(first..2 * count, 2, &Default::default());
        PairRows {
            first: rows(0),
            second: rows(1),
        }
    }

    #[test]
    fn gathered_frames_have_the_distances_and_gradients_of_neighbours() {
        type Approach = fn(&Frames<TestAutodiff>) -> Tensor<TestAutodiff, 2>;
        let curves: [(bool, Approach); 2] = [
            (true, |frames| arcs::approach(frames, Measure::Distance)),
            (false, segments::distances),
        ];
        for (kind, (normalized, approach)) in Kind::ALL
            .into_iter()
            .flat_map(|kind| curves.map(|curve| (kind, curve)))
        {
            let rows = kind.rows(8, 32, 5);
            let (expected, of_neighbours) = weighted_sum(
                |rows| approach(&Frames::from_neighbours(rows, normalized)),
                &rows,
            );
            let (actual, gathered) = weighted_sum(
                |rows| approach(&RowProducts::new(rows, normalized).frames(&neighbours(8))),
                &rows,
            );
            // The accuracy for arcs that are nearly half circles.
            assert!(
                (actual - expected).abs() <= 1e-4,
                "{kind:?}, {normalized}: {actual}, {expected}"
            );
            assert!(gathered.iter().all(|x| x.is_finite()));
            // Arcs that touch, that coincide, or whose plane is defined by few digits have closest points that
            // rounding chooses.
            if matches!(kind, Kind::Random | Kind::Clustered | Kind::Collapsed) {
                let error = relative_error(&gathered, &of_neighbours);
                assert!(error <= 1e-5, "{kind:?}, {normalized}: {error}");
            }
        }
    }

    #[test]
    fn gathered_frames_are_as_exact_as_those_of_neighbours_without_f64() {
        for device in WITHOUT_F64 {
            for kind in [Kind::Random, Kind::Clustered, Kind::Collapsed] {
                let rows = kind.rows(8, 32, 5);
                let wide = widened(&rows);
                let [gathered, neighbours] = on(device, || {
                    let rows = tensor::<TestBackend>(&rows);
                    let gathered = RowProducts::new(rows.clone(), true).frames(&neighbours(8));
                    let frames = [gathered, Frames::from_neighbours(rows, true)];
                    frames.map(|frames| values(arcs::approach(&frames, Measure::Distance)))
                });
                let errors = [&gathered, &neighbours].map(|found| {
                    let mut largest = 0f64;
                    for (i, j) in (0..8).flat_map(|i| (0..i).map(move |j| (i, j))) {
                        let expected = arc_distance(
                            [&wide[2 * i], &wide[2 * i + 1]],
                            [&wide[2 * j], &wide[2 * j + 1]],
                        );
                        largest = largest.max((found[8 * i + j] - expected).abs());
                    }
                    largest
                });
                // The rounding of the device, which is 4e-5 for arcs of collapsed embeddings that nearly touch.
                assert!(
                    errors[0] <= 1.5 * errors[1] + 1e-7,
                    "{device:?}, {kind:?}: errors {errors:?}"
                );
            }
        }
    }
}
