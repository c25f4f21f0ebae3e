//! Tensor maths of points and curves, without labels and without losses: distances between points,
//! closest approach of great-circle arcs.
//!
//! Everything here takes and gives tensors of the caller's float type and works inside in the
//! widest float that the device has (see [`arcs`] for why), keeps memory O(N²), and is
//! differentiable with finite gradients everywhere.

pub mod arcs;
mod lengths;
#[cfg(test)]
pub(crate) mod oracle;
pub mod points;

pub use arcs::Arcs;
pub(crate) use lengths::{length_of_square, widen};
pub use points::point_distances;
