//! How PyTorch lays out a tensor of this crate's modules: the one place of its order of axes, for the
//! way in ([`weights`](super::weights)) and the way out ([`export`](super::export)).

use burn_store::TensorSnapshot;

/// The type of the dense layers in the path of a tensor.
const DENSE: &str = "Struct:Linear";

/// The order of axes here and in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TorchLayout {
    /// Vectors: the same.
    Same,
    /// Weights of a dense layer: `[inputs, outputs]` here, `[outputs, inputs]` there.
    Dense,
    /// Kernels: `[k, k, C_in, C_out]` here, `[C_out, C_in, k, k]` there.
    Kernel,
}

impl TorchLayout {
    /// The layout of a module's tensor.
    pub(crate) fn of(tensor: &TensorSnapshot) -> Self {
        match tensor.shape.num_dims() {
            4 => Self::Kernel,
            2 if tensor.module_type().as_deref() == Some(DENSE) => Self::Dense,
            _ => Self::Same,
        }
    }

    /// PyTorch's shape of a tensor of shape `own`.
    pub(crate) fn shape(self, own: &[usize]) -> Vec<usize> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => vec![output, input, rows, columns],
            (Self::Dense, &[input, output]) => vec![output, input],
            _ => own.to_vec(),
        }
    }

    /// The values in the order of this crate, from PyTorch's; `own` is the shape here.
    pub(crate) fn import(self, values: Vec<f32>, own: &[usize]) -> Vec<f32> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => {
                // [output, input, places] → [input, places, output] → [places, input, output]
                let values = transposed(&values, output, input * rows * columns);
                exchanged(&values, input, rows * columns, output)
            }
            (Self::Dense, &[input, output]) => transposed(&values, output, input),
            _ => values,
        }
    }

    /// The values in PyTorch's order, from this crate's; `own` is the shape here.
    pub(crate) fn export(self, values: Vec<f32>, own: &[usize]) -> Vec<f32> {
        match (self, own) {
            (Self::Kernel, &[rows, columns, input, output]) => {
                let values = exchanged(&values, rows * columns, input, output);
                transposed(&values, input * rows * columns, output)
            }
            (Self::Dense, &[input, output]) => transposed(&values, input, output),
            _ => values,
        }
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(values.len());
    for column in 0..columns {
        ordered.extend((0..rows).map(|row| values[row * columns + column]));
    }
    ordered
}

/// `[first, second, length]` as `[second, first, length]`.
fn exchanged(values: &[f32], first: usize, second: usize, length: usize) -> Vec<f32> {
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
    fn kernels_and_dense_weights_have_pytorchs_order() {
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
