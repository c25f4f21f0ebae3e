//! The values in the windows of a convolution, as a matrix.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::on_host;
use crate::kernels::windows::Windows;

/// The values in each window, `[N·H'·W', k·k·C]`, of `x` `[N, H, W, C]`; 0 outside.
///
/// `None` if the numbers are [not on the host](super).
pub fn im2col<B: Backend>(x: Tensor<B, 4>, windows: Windows) -> Option<Tensor<B, 2>> {
    let ([images, _, _, channels], device) = (x.dims(), x.device());
    let columns = windows.kernel * windows.kernel * channels;
    let rows = images * windows.output[0] * windows.output[1];
    let values = on_host(x, |x| {
        let mut values = Vec::with_capacity(rows * columns);
        gather(x, images, channels, windows, &mut values);
        values
    })?;
    let values = TensorData::new(values, [rows, columns]);
    Some(Tensor::from_data(values, &device))
}

/// Appends the values of all windows: of each window line by line, of which the part on the map is copied at once.
fn gather(x: &[f32], images: usize, channels: usize, windows: Windows, values: &mut Vec<f32>) {
    let Windows {
        kernel,
        stride,
        before: [top, left],
        input: [height, width],
        output: [rows, columns],
    } = windows;
    for image in 0..images {
        for row in 0..rows {
            for column in 0..columns {
                // Columns of the map, and zeros before and after them.
                let start = column * stride;
                let (first, end) = (start.max(left), (start + kernel).min(left + width));
                let on_map = end.saturating_sub(first);
                let zeros_before = (first - start).min(kernel);
                for line in row * stride..row * stride + kernel {
                    if on_map == 0 || line < top || line >= top + height {
                        values.resize(values.len() + kernel * channels, 0.0);
                        continue;
                    }
                    let line = (image * height + line - top) * width;
                    let from = (line + first - left) * channels;
                    values.resize(values.len() + zeros_before * channels, 0.0);
                    values.extend_from_slice(&x[from..from + on_map * channels]);
                    let zeros_after = kernel - zeros_before - on_map;
                    values.resize(values.len() + zeros_after * channels, 0.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    /// Every value by its definition.
    fn expected(x: &[f32], images: usize, channels: usize, windows: Windows) -> Vec<f32> {
        let [height, width] = windows.input.map(|side| side as isize);
        let mut values = Vec::new();
        for image in 0..images as isize {
            for window in 0..windows.output[0] * windows.output[1] {
                for tap in 0..windows.kernel * windows.kernel {
                    let row = window / windows.output[1] * windows.stride + tap / windows.kernel;
                    let column = window % windows.output[1] * windows.stride + tap % windows.kernel;
                    let row = row as isize - windows.before[0] as isize;
                    let column = column as isize - windows.before[1] as isize;
                    let inside = (0..height).contains(&row) && (0..width).contains(&column);
                    let position = (image * height + row) * width + column;
                    values.extend((0..channels).map(|channel| match inside {
                        true => x[position as usize * channels + channel],
                        false => 0.0,
                    }));
                }
            }
        }
        values
    }

    #[test]
    fn windows_have_the_values_of_their_definition() {
        for (kernel, stride, before, input, output, channels) in [
            (3, 1, [1, 1], [4, 5], [4, 5], 2),
            (3, 2, [0, 0], [7, 5], [3, 2], 1),
            // More zeros after than before the map.
            (3, 2, [0, 0], [4, 4], [2, 2], 3),
            (7, 2, [3, 3], [5, 4], [3, 2], 3),
            // Windows beside the map, and wider than it.
            (3, 1, [3, 3], [2, 1], [6, 5], 2),
            (5, 1, [4, 4], [1, 2], [5, 6], 1),
            (1, 2, [0, 0], [3, 3], [2, 2], 4),
        ] {
            let windows = Windows {
                kernel,
                stride,
                before,
                input,
                output,
            };
            let [height, width] = input;
            let numbers: Vec<f32> = (1..=2 * height * width * channels)
                .map(|i| i as f32)
                .collect();
            let expected = expected(&numbers, 2, channels, windows);
            let x = TensorData::new(numbers, [2, height, width, channels]);
            let x = Tensor::<Flex, 4>::from_data(x, &Default::default());
            let found = im2col(x, windows).unwrap();
            let rows = 2 * output[0] * output[1];
            assert_eq!(found.dims(), [rows, kernel * kernel * channels]);
            assert_eq!(
                found.into_data().into_vec::<f32>().unwrap(),
                expected,
                "{windows:?}"
            );
        }
    }
}
