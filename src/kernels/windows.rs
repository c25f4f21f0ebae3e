//! The windows of convolutions, and where their taps are on a map.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) use cube::{Taps, on_map};

/// The windows of a square kernel on a map `[N, H, W, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    /// k, the side of the kernel.
    pub kernel: usize,
    /// Step between neighbouring windows.
    pub stride: usize,
    /// Zeros before the first row and the first column.
    pub before: [usize; 2],
    /// H and W.
    pub input: [usize; 2],
    /// H' and W'.
    pub output: [usize; 2],
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use cubecl::prelude::*;

    use super::Windows;

    /// The part of [`Windows`] that a kernel is compiled for; sizes are its arguments.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub(in crate::kernels) struct Taps {
        pub(in crate::kernels) kernel: usize,
        pub(in crate::kernels) stride: usize,
        pub(in crate::kernels) before: [usize; 2],
    }

    impl From<Windows> for Taps {
        fn from(windows: Windows) -> Self {
            let Windows {
                kernel,
                stride,
                before,
                ..
            } = windows;
            Self {
                kernel,
                stride,
                before,
            }
        }
    }

    /// A position of a map that zeros surround.
    #[derive(CubeType, Clone, Copy)]
    pub(in crate::kernels) struct Position {
        /// Whether it is on the map.
        pub(in crate::kernels) inside: bool,
        /// Its number among all positions of the batch; 0 outside.
        pub(in crate::kernels) number: usize,
    }

    /// The position at a row and a column, which are counted from the zeros before the map.
    #[cube]
    pub(in crate::kernels) fn on_map(
        image: usize,
        row: usize,
        column: usize,
        height: usize,
        width: usize,
        #[comptime] windows: Taps,
    ) -> Position {
        let inside = row >= windows.before[0]
            && column >= windows.before[1]
            && row < height + windows.before[0]
            && column < width + windows.before[1];
        let mut number = 0;
        if inside {
            let line = image * height + (row - windows.before[0]);
            number = line * width + (column - windows.before[1]);
        }
        Position { inside, number }
    }
}
