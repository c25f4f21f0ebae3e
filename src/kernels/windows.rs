//! The windows of convolutions.

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

/// The part of [`Windows`] that a kernel is compiled for; sizes are its arguments.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Taps {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) before: [usize; 2],
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
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
