//! Frames and closest points by the [kernels](crate::kernels) for GPUs.

use burn::tensor::{Tensor, backend::Backend};

use super::frames::Frames;
use super::measure::Measure;
use super::pair_products::PairProducts;
use super::products::{live_products_by_kernels, multiply};
use crate::kernels::available_with_gradient;
use crate::kernels::closest_points::{self, Approach};
use crate::kernels::frames::{self, PartProducts};

impl<B: Backend> Frames<B> {
    /// The frames of the pairs of rows 2i and 2i + 1, scaled to unit length; `None` where kernels are not available.
    pub(super) fn unit_frames_by_kernels(embeddings: &Tensor<B, 2>) -> Option<Self> {
        let pairs = embeddings.dims()[0] / 2;
        let unit = frames::unit_frames(embeddings.clone())?;
        let [h, m, l] = &unit.parts;
        let [products, squared_middle_distances] = frames::sum_of_levels(PartProducts {
            hh: multiply(h, h),
            hm: multiply(h, m),
            mm: multiply(m, m),
            hl: multiply(h, l),
        })?;
        let live = live_products_by_kernels(unit.rows, unit.parts, products.clone())?;
        Some(Self {
            live: PairProducts::Stacked(live),
            fixed: PairProducts::Stacked(products),
            squared_middle_distances,
            dtype: embeddings.dtype().into(),
            pairs,
        })
    }

    /// [`squared_end_distances`](Self::squared_end_distances); `None` where kernels are not available, and for frames
    /// whose products are not one matrix.
    pub(super) fn squared_end_distances_by_kernel(&self) -> Option<Tensor<B, 2>> {
        let PairProducts::Stacked(products) = &self.fixed else {
            return None;
        };
        frames::squared_end_distances(products.clone(), self.squared_middle_distances.clone())
    }

    /// [`end_products`](Self::end_products), as [`squared_end_distances`](Self::squared_end_distances_by_kernel).
    pub(super) fn end_products_by_kernel(&self) -> Option<Tensor<B, 2>> {
        match &self.fixed {
            PairProducts::Stacked(products) => frames::end_products(products.clone()),
            PairProducts::Blocks(_) => None,
        }
    }

    /// The measure of the closest points of every two arcs, \[P, P\]; `None` where kernels are not available.
    pub(super) fn closest_arcs_by_kernel(&self, measure: Measure) -> Option<Tensor<B, 2>> {
        self.approach_by_kernel(match measure {
            Measure::Distance => Approach::ArcDistance,
            Measure::InnerProduct => Approach::ArcProduct,
        })
    }

    /// The distances of every two segments, \[P, P\]; `None` where kernels are not available.
    pub(super) fn segment_distances_by_kernel(&self) -> Option<Tensor<B, 2>> {
        self.approach_by_kernel(Approach::SegmentDistance)
    }

    fn approach_by_kernel(&self, approach: Approach) -> Option<Tensor<B, 2>> {
        if !available_with_gradient::<B>() {
            return None;
        }
        let products = closest_points::PairProducts {
            live: self.live.stacked(),
            fixed: self.fixed.stacked(),
            squared_middle_distances: self.squared_middle_distances.clone(),
        };
        let approach = closest_points::approach(products, approach)?;
        Some(approach.cast(self.dtype))
    }
}
