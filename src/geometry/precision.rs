//! The float type of geometry on a device.

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};

/// Casts a tensor to the widest float type that its device computes in: `f64`, or `f32` on devices
/// without `f64`.
///
/// The square of a small distance between unit vectors is a difference of numbers near 1, so a
/// rounding of 1e-7 there is an error of 3e-4 in the distance. In `f64` it is 1e-8.
///
/// Burn's fusion of operations panics for `f64` (0.21: "Unsupported precision for fusion"), whatever
/// types the device reports. Backends with fusion, which are those of GPUs, therefore compute in
/// `f32`.
pub(crate) fn widen<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    let device = tensor.device();
    let fused = B::name(&device).contains("fusion<");
    #[cfg(test)]
    let fused = fused || super::simulated_device::has_no_f64();
    if !fused && B::supports_dtype(&device, DType::F64) {
        tensor.cast(FloatDType::F64)
    } else {
        tensor.cast(FloatDType::F32)
    }
}

/// Whether a device computes on the host, in `f32` as the host does. Reading results back then costs nothing.
pub(crate) fn is_host<B: Backend>(device: &B::Device) -> bool {
    #[cfg(test)]
    if super::simulated_device::has_no_f64() {
        return false;
    }
    matches!(B::name(device).as_str(), "flex" | "autodiff<flex>")
}
