//! The closest points of the curves of every two pairs, and the derivative of their distance: one launch each way.
//!
//! `geometry::arcs` and `geometry::segments` describe the maths, and compute the same as some four hundred operations on
//! small matrices.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod arc_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod arc_search;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod backward_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod coefficients;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod launches;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod lengths;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod segment_kernel;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The curves, and what is computed of their closest points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Approach {
    /// The Euclidean distance of great-circle arcs.
    ArcDistance,
    /// The inner product of great-circle arcs.
    ArcProduct,
    /// The Euclidean distance of straight segments.
    SegmentDistance,
}

/// The inner products of the frames of P pairs of vectors x₁, x₂: of the middles m = (x₁ + x₂)/2 of every pair, then of
/// the half differences t = (x₂ − x₁)/2. The vectors of arcs have unit length.
#[derive(Debug, Clone)]
pub struct PairProducts<B: Backend> {
    /// With a gradient with respect to the row's vector, `[2P, 2P]`. Only the gradient is used.
    pub live: Tensor<B, 2>,
    /// Without gradient, `[2P, 2P]`.
    pub fixed: Tensor<B, 2>,
    /// |mᵢ − mⱼ|², `[P, P]`, without gradient.
    pub squared_middle_distances: Tensor<B, 2>,
}

/// Compares the curves of every two pairs, `[P, P]`.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if a tensor is not
/// of f32, or if P is 0.
pub fn approach<B: Backend>(products: PairProducts<B>, approach: Approach) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        launches::approach(products, approach)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (products, approach);
        None
    }
}
