//! Tensor maths of points and curves, without labels and without losses: distances between points,
//! closest approach of great-circle arcs and of straight segments, best corners, nearest inner
//! points.
//!
//! Every function takes and returns tensors of the caller's float type, needs O(N²) memory, and is
//! differentiable with finite gradients everywhere. Distances are computed internally in the widest
//! float type of the device ([`arcs`] says why).

pub mod arcs;
pub mod corners;
mod diagonal;
mod envelope;
mod frame_kernels;
mod frame_products;
pub(crate) mod frames;
pub mod inner_points;
mod lengths;
mod measure;
#[cfg(test)]
pub(crate) mod oracle;
pub(crate) mod pair_rows;
mod point_frames;
pub mod points;
mod precision;
pub(crate) mod products;
pub(crate) mod row_products;
pub mod segments;
#[cfg(test)]
pub(crate) mod simulated_device;
#[cfg(test)]
pub(crate) mod test_batches;
mod transpose;

pub use arcs::arc_approach;
pub use corners::corner_products;
pub use inner_points::inner_point_approach;
pub(crate) use lengths::length_of_square;
pub use measure::Measure;
pub use points::point_distances;
pub(crate) use precision::{is_host, widen};
pub use segments::segment_distances;
pub(crate) use transpose::transpose;
