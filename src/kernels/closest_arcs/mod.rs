//! The closest points of every two arcs, and the derivative of their distance: one launch each way.
//!
//! `geometry::arcs` describes the maths and computes the same as some four hundred operations on small matrices.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod backward_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod forward_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod search;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// What is computed of the closest points of two arcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Approach {
    /// Their Euclidean distance.
    Distance,
    /// Their inner product.
    InnerProduct,
}

/// The inner products of the frames of P pairs of unit vectors x₁, x₂: of the middles m = (x₁ + x₂)/2 of every pair,
/// then of the half differences t = (x₂ − x₁)/2.
#[derive(Debug, Clone)]
pub struct ArcProducts<B: Backend> {
    /// With a gradient with respect to the row's vector, `[2P, 2P]`. Only the gradient is used.
    pub live: Tensor<B, 2>,
    /// Without gradient, `[2P, 2P]`.
    pub fixed: Tensor<B, 2>,
    /// |mᵢ − mⱼ|², `[P, P]`, without gradient.
    pub squared_middle_distances: Tensor<B, 2>,
}

/// Compares every two arcs, `[P, P]`.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if a tensor is not
/// of f32, or if P is 0.
pub fn approach<B: Backend>(products: ArcProducts<B>, approach: Approach) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        forward_kernel::approach(products, approach)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (products, approach);
        None
    }
}
