//! PyTorch's order of axes for the tensors of this crate's modules, for loading and for exports.

use burn_store::TensorSnapshot;

/// The module type of dense layers.
const DENSE: &str = "Struct:Linear";

/// The order of axes in this crate and in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TorchLayout {
    /// Vectors: equal.
    Same,
    /// Weights of a dense layer: `[inputs, outputs]`, in PyTorch `[outputs, inputs]`.
    Dense,
    /// Kernels: `[k, k, C_in, C_out]`, in PyTorch `[C_out, C_in, k, k]`.
    Kernel,
}

impl TorchLayout {
    /// The layout of a module's tensor.
    pub(crate) fn for_tensor(tensor: &TensorSnapshot) -> Self {
        match tensor.shape.num_dims() {
            4 => Self::Kernel,
            2 if tensor.module_type().as_deref() == Some(DENSE) => Self::Dense,
            _ => Self::Same,
        }
    }

    /// PyTorch's shape of a tensor with the shape `own` in this crate.
    pub(crate) fn shape(self, own: &[usize]) -> Vec<usize> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => vec![output, input, rows, columns],
            (Self::Dense, &[input, output]) => vec![output, input],
            _ => own.to_vec(),
        }
    }

    /// Converts values from PyTorch's order to this crate's; `own` is the shape in this crate.
    pub(crate) fn import(self, values: Vec<f32>, own: &[usize]) -> Vec<f32> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => {
                // [output, input, taps] → [input, taps, output] → [taps, input, output]
                let values = transpose(&values, output, input * rows * columns);
                swap_axes(&values, input, rows * columns, output)
            }
            (Self::Dense, &[input, output]) => transpose(&values, output, input),
            _ => values,
        }
    }

    /// Converts values from this crate's order to PyTorch's; `own` is the shape in this crate.
    pub(crate) fn export(self, values: Vec<f32>, own: &[usize]) -> Vec<f32> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => {
                let values = swap_axes(&values, rows * columns, input, output);
                transpose(&values, input * rows * columns, output)
            }
            (Self::Dense, &[input, output]) => transpose(&values, input, output),
            _ => values,
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(values.len());
    for column in 0..columns {
        ordered.extend((0..rows).map(|row| values[row * columns + column]));
    }
    ordered
}

/// `[first, second, length]` as `[second, first, length]`.
fn swap_axes(values: &[f32], first: usize, second: usize, length: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(values.len());
    for j in 0..second {
        for i in 0..first {
            ordered.extend_from_slice(&values[(i * second + j) * length..][..length]);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_dense_weights_are_converted_to_pytorchs_order() {
        // Every value occurs once.
        let own: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let shape = [2, 3, 4, 5];
        let torch = TorchLayout::Kernel.export(own.clone(), &shape);
        assert_eq!(TorchLayout::Kernel.shape(&shape), [5, 4, 2, 3]);
        let (row, column, input, output) = (1, 2, 3, 4);
        let here = ((row * 3 + column) * 4 + input) * 5 + output;
        let there = ((output * 4 + input) * 2 + row) * 3 + column;
        assert_eq!(torch[there], own[here]);
        assert_eq!(TorchLayout::Kernel.import(torch, &shape), own);

        let torch = TorchLayout::Dense.export(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
        assert_eq!(torch, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let own = TorchLayout::Dense.import(torch, &[2, 3]);
        assert_eq!(own, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
