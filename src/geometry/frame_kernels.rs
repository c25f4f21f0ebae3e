//! Products of frames and closest points by the [kernels](crate::kernels) for GPUs. Every function returns `None` where
//! kernels are not available.

use burn::tensor::{Tensor, backend::Backend};

use super::frame_products::PairProducts;
use super::products::multiply;
use crate::kernels::available_with_gradient;
use crate::kernels::closest_points::{self, Approach};
use crate::kernels::frames::{self, PartProducts};

/// Computes the products of the frames of the pairs of rows 2i and 2i + 1, scaled to unit length.
pub(super) fn products_of_unit_frames<B: Backend>(
    embeddings: &Tensor<B, 2>,
) -> Option<closest_points::PairProducts<B>> {
    let unit = frames::unit_frames(embeddings.clone())?;
    let [h, m, l] = &unit.parts;
    let [fixed, squared_middle_distances] = frames::sum_of_levels(PartProducts {
        hh: multiply(h, h),
        hm: multiply(h, m),
        mm: multiply(m, m),
        hl: multiply(h, l),
    })?;
    Some(closest_points::PairProducts {
        live: frames::with_row_gradient(fixed.clone(), unit.rows)?,
        fixed,
        squared_middle_distances,
    })
}

/// Returns the squared distances of the ends x₁ of every pair, then x₂ of every pair, \[2P, 2P\]; `None` also for
/// products that are not one matrix.
pub(super) fn squared_end_distances<B: Backend>(
    products: &PairProducts<B>,
    squared_middle_distances: &Tensor<B, 2>,
) -> Option<Tensor<B, 2>> {
    let PairProducts::Stacked(products) = products else {
        return None;
    };
    frames::squared_end_distances(products.clone(), squared_middle_distances.clone())
}

/// Returns the inner products of the ends as [`squared_end_distances`] their distances.
pub(super) fn end_products<B: Backend>(products: &PairProducts<B>) -> Option<Tensor<B, 2>> {
    let PairProducts::Stacked(products) = products else {
        return None;
    };
    frames::end_products(products.clone())
}

/// Compares the curves of every two pairs, \[P, P\], from the products with and without gradient.
pub(super) fn closest_points<B: Backend>(
    [live, fixed]: [&PairProducts<B>; 2],
    squared_middle_distances: &Tensor<B, 2>,
    approach: Approach,
) -> Option<Tensor<B, 2>> {
    if !available_with_gradient::<B>() {
        return None;
    }
    let products = closest_points::PairProducts {
        live: live.stacked(),
        fixed: fixed.stacked(),
        squared_middle_distances: squared_middle_distances.clone(),
    };
    closest_points::approach(products, approach)
}
