//! Layers on the processor that Burn's operations would compute by indices of rows. A line of a window is contiguous in a
//! channels-last map, and is read where it is.
//!
//! They take f32 on Flex, without automatic differentiation; otherwise they return `None`, and the caller computes with
//! Burn's operations. Finite numbers are the same bit for bit. They use one thread, because a batch is split among threads.

pub mod im2col;
pub mod max_pool;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

/// What `compute` makes of the numbers of `tensor`, in row-major order. `None` if they are not f32 in the memory of Flex.
fn on_host<B: Backend, const D: usize, T>(
    tensor: Tensor<B, D>,
    compute: impl FnOnce(&[f32]) -> T,
) -> Option<T> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    #[cfg(feature = "cpu")]
    {
        let tensor: Box<dyn std::any::Any> = Box::new(tensor.into_primitive().tensor());
        let tensor = tensor.downcast::<burn_flex::FlexTensor>().ok()?;
        Some(match tensor.as_slice::<f32>() {
            Some(numbers) => compute(numbers),
            None => compute(&in_order(&tensor)),
        })
    }
    #[cfg(not(feature = "cpu"))]
    {
        let _ = compute;
        None
    }
}

/// The numbers of a tensor, wherever they are, in row-major order.
#[cfg(feature = "cpu")]
fn in_order(tensor: &burn_flex::FlexTensor) -> Vec<f32> {
    /// Appends the numbers of the last axes from `start` on.
    fn append(
        numbers: &[f32],
        start: isize,
        shape: &[usize],
        strides: &[isize],
        ordered: &mut Vec<f32>,
    ) {
        match (shape, strides) {
            (&[length], &[stride]) => {
                let positions = (0..length as isize).map(|i| start + i * stride);
                ordered.extend(positions.map(|position| numbers[position as usize]));
            }
            (&[length, ref shape @ ..], &[stride, ref strides @ ..]) => {
                for i in 0..length as isize {
                    append(numbers, start + i * stride, shape, strides, ordered);
                }
            }
            _ => ordered.push(numbers[start as usize]),
        }
    }
    let layout = tensor.layout();
    let mut ordered = Vec::with_capacity(layout.num_elements());
    let start = layout.start_offset() as isize;
    append(
        tensor.storage(),
        start,
        layout.shape(),
        layout.strides(),
        &mut ordered,
    );
    ordered
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn numbers_are_read_in_order_from_any_view() {
        let numbers: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let whole = TensorData::new(numbers, [2, 3, 4, 5]);
        let whole = Tensor::<Flex, 4>::from_data(whole, &Default::default());
        for view in [
            whole.clone(),
            whole.clone().narrow(0, 1, 1),
            whole.clone().narrow(2, 1, 2),
            whole.clone().permute([0, 2, 3, 1]),
            whole.clone().permute([3, 1, 0, 2]).narrow(1, 1, 2),
            whole.flip([1, 3]),
        ] {
            let expected = view.to_data().into_vec::<f32>().unwrap();
            assert_eq!(on_host(view, <[f32]>::to_vec), Some(expected));
        }
    }

    #[test]
    fn other_formats_and_tensors_with_gradient_are_left_alone() {
        let device = Default::default();
        let half = Tensor::<Flex, 1>::zeros([4], &device).cast(DType::BF16);
        assert_eq!(on_host(half, <[f32]>::len), None);
        let recorded = Tensor::<burn::backend::Autodiff<Flex>, 1>::zeros([4], &device);
        assert_eq!(on_host(recorded, <[f32]>::len), None);
    }
}
