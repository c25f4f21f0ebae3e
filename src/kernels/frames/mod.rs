//! The frames of pairs of rows: their middles and half differences, scaled and split for exact products, and what is
//! computed of the products. `geometry::frames` and `geometry::products` describe the maths.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod end_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod level_kernel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod live_kernels;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod unit_kernels;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The middles m = (x₁ + x₂)/2 of P pairs of unit vectors, then their half differences t = (x₂ − x₁)/2.
#[derive(Debug, Clone)]
pub struct UnitFrames<B: Backend> {
    /// With a gradient for which the factors that scale the embeddings are constants, `[2P, D]`.
    pub rows: Tensor<B, 2>,
    /// h, m and l with 2¹¹ x = h + 2⁻¹² m + 2⁻²⁴ l, `[2P, D]` each, without gradient.
    pub parts: [Tensor<B, 2>; 3],
}

/// Scales the embeddings `[2P, D]` to unit length and returns the frames of the pairs of rows 2i and 2i + 1. A row of a
/// length of at most f32's ε is not scaled.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if the embeddings
/// are not of f32, or if they are empty.
pub fn unit_frames<B: Backend>(embeddings: Tensor<B, 2>) -> Option<UnitFrames<B>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        unit_kernels::unit_frames(embeddings)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = embeddings;
        None
    }
}

/// The inner products of the parts of [`UnitFrames`], `[2P, 2P]` each, without gradient. Those that are missing are
/// transposes.
#[derive(Debug, Clone)]
pub struct PartProducts<B: Backend> {
    /// h hᵀ.
    pub hh: Tensor<B, 2>,
    /// h mᵀ.
    pub hm: Tensor<B, 2>,
    /// m mᵀ.
    pub mm: Tensor<B, 2>,
    /// h lᵀ.
    pub hl: Tensor<B, 2>,
}

/// Returns the inner products of the frames, `[2P, 2P]`, and the squared distances of the middles, `[P, P]`, without
/// the cancellation of large terms.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if a tensor is not
/// of f32, or if P is 0.
pub fn sum_of_levels<B: Backend>(products: PartProducts<B>) -> Option<[Tensor<B, 2>; 2]> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        level_kernel::sum_of_levels(products)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = products;
        None
    }
}

/// Returns the squared distances of the ends x₁ of every pair, then x₂ of every pair, `[2P, 2P]`, from the inner products
/// of the frames, `[2P, 2P]`, and the squared distances of the middles, `[P, P]`.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if a tensor is not
/// of f32, or if P is 0.
pub fn squared_end_distances<B: Backend>(
    products: Tensor<B, 2>,
    squared_middle_distances: Tensor<B, 2>,
) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        end_kernel::squared_end_distances(products, squared_middle_distances)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (products, squared_middle_distances);
        None
    }
}

/// Returns the inner products of the ends x₁ of every pair, then x₂ of every pair, `[2P, 2P]`, from those of the frames.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if the products are
/// not of f32, or if P is 0.
pub fn end_products<B: Backend>(products: Tensor<B, 2>) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        end_kernel::products_of_ends(products)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = products;
        None
    }
}

/// Returns `products` with the gradient of the inner products of `rows` `[N, D]` with themselves, with respect to the
/// first factor.
///
/// `None` if [no kernel is available](super::available), with or without automatic differentiation, if a tensor is not
/// of f32, or if the rows are empty.
pub fn with_row_gradient<B: Backend>(
    products: Tensor<B, 2>,
    rows: Tensor<B, 2>,
) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        live_kernels::with_row_gradient(products, rows)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (products, rows);
        None
    }
}
