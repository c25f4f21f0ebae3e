//! Points compared with the curves of pairs of rows.

use burn::tensor::{FloatDType, Tensor, backend::Backend};

use super::frame_products::FrameProducts;
use super::frames::FrameComparisons;

/// N rows of a batch, each as a pair of two equal ends, compared with P pairs.
#[derive(Debug, Clone)]
pub(crate) struct PointFrames<B: Backend> {
    /// The points with the pairs, \[N, P\].
    pub(super) points: LiveComparisons<B>,
    /// The pairs with the points, \[P, N\].
    pub(super) pairs: LiveComparisons<B>,
    /// The float type of the embeddings and of the results.
    pub(super) dtype: FloatDType,
}

/// R pairs compared with C pairs, with a gradient with respect to the R pairs.
#[derive(Debug, Clone)]
pub(super) struct LiveComparisons<B: Backend> {
    /// Without gradient, exact to the rounding of the float type.
    pub(super) fixed: FrameComparisons<B>,
    /// Products with a gradient with respect to the row's pair, \[R, C\].
    pub(super) live: FrameProducts<B>,
    /// Products of each row's pair with itself, with a gradient with respect to the first factor, \[R, 1\].
    pub(super) own: FrameProducts<B>,
}

impl<B: Backend> LiveComparisons<B> {
    /// Returns the row's half of a derivative (`envelope.rs`) from its coefficients: those of m·m, m·t, t·m and t·t,
    /// then those of m·m, m·t + t·m and t·t of the row's pair with itself.
    pub(super) fn half(&self, coefficients: [Tensor<B, 2>; 7]) -> Tensor<B, 2> {
        let [mm, mt, tm, tt, own_mm, own_mt, own_tt] = coefficients;
        let across = FrameProducts { mm, mt, tm, tt };
        let own = self.own.clone();
        self.live.clone().weighted_sum(across)
            + own_mm * own.mm
            + own_mt * (own.mt + own.tm)
            + own_tt * own.tt
    }
}
