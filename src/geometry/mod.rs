//! Tensor maths of points and curves, without labels and without losses: distances between points,
//! closest approach of great-circle arcs and of straight segments, best corners, nearest inner
//! points.
//!
//! Everything here takes and gives tensors of the caller's float type, keeps memory O(N²), and is
//! differentiable with finite gradients everywhere. Distances are computed inside in the widest
//! float that the device has (see [`arcs`] for why).

pub mod arcs;
pub mod corners;
mod envelope;
pub(crate) mod frames;
pub mod inner_points;
mod lengths;
mod measure;
#[cfg(test)]
pub(crate) mod oracle;
pub mod points;
pub(crate) mod products;
pub mod segments;
mod transpose;

pub use arcs::arc_approach;
pub use corners::corner_products;
pub use inner_points::inner_point_approach;
pub(crate) use lengths::{length_of_square, widen};
pub use measure::Measure;
pub use points::point_distances;
pub use segments::segment_distances;
pub(crate) use transpose::transpose;
