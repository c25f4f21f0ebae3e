//! Small computations that show whether a device works.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::kernels::matmul_tf32;
use crate::model::Precision;
use crate::panic_capture::catch_with_texts;

/// Returns the first line of a panic's text, for a message of one line.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("the driver gave no reason").to_string()
}

/// Computes 1 + 1 on the device.
///
/// # Errors
///
/// If the computation panics, with the texts of the panics, or if the sum is wrong.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) fn first_computation<B: Backend>(device: &B::Device) -> Result<(), String> {
    use burn::tensor::ElementConversion;

    let sum = catch_with_texts(|| {
        let sum = Tensor::<B, 1>::ones([2], device).sum().into_scalar();
        sum.elem::<f64>()
    })?;
    match sum {
        2.0 => Ok(()),
        wrong => Err(format!("it computes 1 + 1 = {wrong}")),
    }
}

/// The formats that the device computes in, as it reports them.
pub(super) fn precisions<B: Backend>(device: &B::Device) -> Vec<Precision> {
    let mut all = Precision::ALL.to_vec();
    all.retain(|&precision| {
        precision == Precision::F32 || B::supports_dtype(device, precision.dtype())
    });
    all
}

/// Side of the matrices of [`matrix_product`]. A power of two: Burn 0.21's products on CUDA may be wrong
/// at other sizes (docs/burn-0.21.md).
const SIDE: usize = 32;

/// Multiplies two small matrices of integers in `precision` and compares the product with the host's. The
/// integers are exact in every format (TF32 too), and their sums in `precision`, so every entry must be equal.
///
/// # Errors
///
/// If the computation panics, with the texts of the panics, or if an entry is wrong.
pub(super) fn matrix_product<B: Backend>(
    device: &B::Device,
    precision: Precision,
) -> Result<(), String> {
    // Sums of 32 products. bfloat16 has all integers up to 256.
    let modulus = match precision {
        Precision::F32 => 8,
        Precision::Bf16 | Precision::F16 => 3,
    };
    let entry = |row: usize, column: usize, step: usize| ((row * step + column) % modulus) as f32;
    let matrix = |step| -> Vec<f32> {
        (0..SIDE * SIDE)
            .map(|at| entry(at / SIDE, at % SIDE, step))
            .collect()
    };
    let (left, right) = (matrix(3), matrix(5));
    let product = catch_with_texts(|| {
        let on_device = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [SIDE, SIDE]);
            Tensor::<B, 2>::from_data(data, device).cast(precision.dtype())
        };
        let product = matmul_tf32(on_device(&left), on_device(&right));
        // Fusion joins an operation after the product to it.
        let product = (product + 1.0).into_data().convert::<f32>();
        product.into_vec::<f32>().expect("just converted")
    })?;
    for (at, &found) in product.iter().enumerate() {
        let (row, column) = (at / SIDE, at % SIDE);
        let products = (0..SIDE).map(|k| left[row * SIDE + k] * right[k * SIDE + column]);
        let expected = products.sum::<f32>() + 1.0;
        if found != expected {
            return Err(format!(
                "a matrix product is wrong: entry ({row}, {column}) is {found} instead of {expected}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_not_empty() {
        assert_eq!(first_line("\n   CUDA is missing\nhelp"), "CUDA is missing");
        assert_eq!(first_line(""), "the driver gave no reason");
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn processor_multiplies_matrices() {
        for precision in Precision::ALL {
            let result = matrix_product::<burn_flex::Flex>(&burn_flex::FlexDevice, precision);
            assert_eq!(result, Ok(()));
        }
    }
}
