//! The zeros around the input of a convolution.

use serde::{Deserialize, Serialize};

/// How many zeros a convolution puts around its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// The same number on every side, as in PyTorch.
    Symmetric(usize),
    /// TensorFlow's `SAME`: the fewest zeros with ⌈side / stride⌉ outputs along each axis, the smaller
    /// half before the first position. The number depends on the size of the input.
    Same,
}

impl Padding {
    /// The numbers of zeros before and after an axis of `side` positions.
    pub fn around(self, side: usize, kernel_size: usize, stride: usize) -> [usize; 2] {
        match self {
            Self::Symmetric(zeros) => [zeros; 2],
            Self::Same => {
                let last_window = (side.div_ceil(stride) - 1) * stride;
                let zeros = (last_window + kernel_size).saturating_sub(side);
                [zeros / 2, zeros - zeros / 2]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_equals_tensorflows() {
        // TensorFlow's rule for side, kernel, stride, computed by hand.
        for (side, kernel, stride, expected) in [
            (224, 3, 2, [0, 1]),
            (225, 3, 2, [1, 1]),
            (224, 3, 1, [1, 1]),
            (56, 5, 2, [1, 2]),
            (57, 5, 2, [2, 2]),
            (7, 5, 1, [2, 2]),
            (1, 5, 2, [2, 2]),
            (8, 1, 2, [0, 0]),
        ] {
            let [before, after] = Padding::Same.around(side, kernel, stride);
            assert_eq!([before, after], expected, "{side} {kernel} {stride}");
            let outputs = (side + before + after - kernel) / stride + 1;
            assert_eq!(outputs, side.div_ceil(stride));
        }
    }
}
