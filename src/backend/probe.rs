//! Small computations that show whether a backend works, and the reason where it does not.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// The panic hook belongs to the whole process: one computation at a time replaces it.
static HOOK: Mutex<()> = Mutex::new(());

/// Runs `work` and returns what it returns, or the texts of its panics, one paragraph each.
///
/// GPU backends panic where a driver is missing or fails, and their first panic, which has the
/// cause, is often in a thread of their own. The texts of all threads are collected, and none is
/// printed.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let _one_at_a_time = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = Arc::new(Mutex::new(Vec::new()));
    let collected = texts.clone();
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or("unknown panic").trim();
        let mut texts = collected.lock().unwrap_or_else(PoisonError::into_inner);
        texts.push(text.to_string());
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(previous);
    result.map_err(|_| {
        let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.join("\n\n")
    })
}

/// The first line of a panic's text, for a message of one line.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("the driver gave no reason").to_string()
}

/// A first computation of one number, before any work: 1 + 1.
///
/// # Errors
///
/// The texts of the panics, or the wrong number.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) fn first_computation<B: Backend>(device: &B::Device) -> Result<(), String> {
    use burn::tensor::ElementConversion;

    let sum = catch(|| {
        let sum = Tensor::<B, 1>::ones([2], device).sum().into_scalar();
        sum.elem::<f64>()
    })?;
    match sum {
        2.0 => Ok(()),
        wrong => Err(format!("it computes 1 + 1 = {wrong}")),
    }
}

/// Side of the matrices of [`matrix_product`]. Matrix products of Burn 0.21 on CUDA are right at
/// powers of two; other sizes are padded where this crate multiplies.
const SIDE: usize = 32;

/// Multiplies two small matrices of integers and compares the product with the host's. Integers up
/// to 7 and their sums are exact in TF32 and bfloat16 too, so that every entry has to be equal.
///
/// # Errors
///
/// The texts of the panics, or the first wrong entry.
pub(super) fn matrix_product<B: Backend>(device: &B::Device) -> Result<(), String> {
    let entry = |row: usize, column: usize, step: usize| ((row * step + column) % 8) as f32;
    let matrix = |step| -> Vec<f32> {
        (0..SIDE * SIDE)
            .map(|at| entry(at / SIDE, at % SIDE, step))
            .collect()
    };
    let (left, right) = (matrix(3), matrix(5));
    let product = catch(|| {
        let on_device = |values: &[f32]| {
            Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), [SIDE, SIDE]), device)
        };
        let product = on_device(&left).matmul(on_device(&right));
        // An operation after the product is what fusion joins to it.
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
    fn the_first_panic_of_another_thread_is_found() {
        let caught = catch(|| {
            let failed = std::thread::spawn(|| panic!("libcuda is missing")).join();
            failed.expect("the device thread answers");
        });
        let text = caught.unwrap_err();
        assert_eq!(first_line(&text), "libcuda is missing");
        assert!(text.contains("the device thread answers"), "{text}");
    }

    #[test]
    fn the_first_line_skips_empty_ones() {
        assert_eq!(first_line("\n   CUDA is missing\nhelp"), "CUDA is missing");
        assert_eq!(first_line(""), "the driver gave no reason");
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_processor_multiplies_matrices() {
        assert_eq!(
            matrix_product::<burn_flex::Flex>(&burn_flex::FlexDevice),
            Ok(())
        );
    }
}
