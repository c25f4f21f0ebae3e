//! Devices without `f64`, simulated on the CPU for tests.

use std::cell::Cell;

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// The precision of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Device {
    /// `f64`.
    Wide,
    /// `f32` without `f64`.
    Single,
    /// `f32` without `f64`; the factors of matrix products are rounded to TF32.
    Tf32,
}

thread_local! {
    static DEVICE: Cell<Device> = const { Cell::new(Device::Wide) };
}

/// The devices without `f64`.
pub(crate) const WITHOUT_F64: [Device; 2] = [Device::Single, Device::Tf32];

/// Runs `f` while this thread simulates `device`.
pub(crate) fn on<T>(device: Device, f: impl FnOnce() -> T) -> T {
    DEVICE.set(device);
    let result = f();
    DEVICE.set(Device::Wide);
    result
}

/// Whether this thread simulates a device without `f64`.
pub(super) fn has_no_f64() -> bool {
    DEVICE.get() != Device::Wide
}

/// Rounds a factor of a matrix product to the precision of the simulated device.
pub(super) fn to_device_precision<B: Backend>(factor: &Tensor<B, 2>) -> Tensor<B, 2> {
    if DEVICE.get() != Device::Tf32 {
        return factor.clone();
    }
    let shape = factor.dims();
    let values: Vec<f32> = factor.to_data().convert::<f32>().into_vec().unwrap();
    // Ten explicit bits of the mantissa, rounded to nearest.
    let rounded: Vec<f32> = values
        .into_iter()
        .map(|x| f32::from_bits((x.to_bits() + (1 << 12)) & !((1 << 13) - 1)))
        .collect();
    Tensor::from_data(TensorData::new(rounded, shape), &factor.device())
}
