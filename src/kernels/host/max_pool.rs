//! Max pooling along one axis.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::on_host;

/// Windows along an axis of a map of rows `[outer · side · inner, C]`.
#[derive(Debug, Clone, Copy)]
pub struct PooledAxis {
    /// Positions on the axes before it.
    pub outer: usize,
    /// Positions along it.
    pub side: usize,
    /// Rows of a position.
    pub inner: usize,
    /// The number of windows, which replace the positions.
    pub windows: usize,
    /// What a window covers.
    pub taps: WindowTaps,
}

/// The positions along an axis that windows cover, as taps.
#[derive(Debug, Clone, Copy)]
pub struct WindowTaps {
    /// The number of taps of a window, at least 1.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Positions before the map that the first window covers.
    pub padding: usize,
}

impl WindowTaps {
    /// The position that a window sees at a tap on an axis of `side` positions. A tap outside the map is moved to the
    /// nearest position inside, which the window also covers.
    pub fn position(self, window: usize, tap: usize, side: usize) -> usize {
        (window * self.stride + tap)
            .saturating_sub(self.padding)
            .min(side - 1)
    }
}

/// For each number of the maxima, the tap of its window where it was: the first of several.
#[derive(Debug, Clone)]
pub struct MaximumTaps(Vec<u8>);

impl PooledAxis {
    /// The maximum of each window, `[outer · windows · inner, C]`. A NaN is the maximum if its tap is the first, and
    /// ignored otherwise.
    ///
    /// `None` if the numbers are [not on the host](super).
    pub fn maxima<B: Backend>(&self, rows: Tensor<B, 2>) -> Option<Tensor<B, 2>> {
        let ([_, channels], device) = (rows.dims(), rows.device());
        let maxima = on_host(rows, |rows| {
            let length = self.inner * channels;
            let mut maxima = Vec::with_capacity(self.outer * self.windows * length);
            for window in self.each_window() {
                let start = maxima.len();
                maxima.extend_from_slice(self.seen(rows, window, 0, length));
                for tap in 1..self.taps.kernel {
                    let candidates = self.seen(rows, window, tap, length);
                    raise(&mut maxima[start..], candidates);
                }
            }
            maxima
        })?;
        Some(self.tensor(maxima, self.windows, channels, &device))
    }

    /// The same, and where the maxima were. `None` also if a window has more than 256 taps.
    pub fn maxima_and_taps<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
    ) -> Option<(Tensor<B, 2>, MaximumTaps)> {
        u8::try_from(self.taps.kernel - 1).ok()?;
        let ([_, channels], device) = (rows.dims(), rows.device());
        let (maxima, taps) = on_host(rows, |rows| {
            let length = self.inner * channels;
            let mut maxima = Vec::with_capacity(self.outer * self.windows * length);
            let mut taps = vec![0; self.outer * self.windows * length];
            for window in self.each_window() {
                let start = maxima.len();
                maxima.extend_from_slice(self.seen(rows, window, 0, length));
                let taps = &mut taps[start..start + length];
                for tap in 1..self.taps.kernel {
                    let candidates = self.seen(rows, window, tap, length);
                    // Two loops without branches, which processors compute for several numbers at once.
                    let maxima = &mut maxima[start..];
                    for (at, (maximum, candidate)) in
                        taps.iter_mut().zip(maxima.iter().zip(candidates))
                    {
                        let is_larger = u8::from(maximum < candidate);
                        *at = (1 - is_larger) * *at + is_larger * tap as u8;
                    }
                    raise(maxima, candidates);
                }
            }
            (maxima, taps)
        })?;
        let maxima = self.tensor(maxima, self.windows, channels, &device);
        Some((maxima, MaximumTaps(taps)))
    }

    /// The gradient of the rows from that of the maxima. Where windows overlap, it is added in the order of the windows.
    ///
    /// `None` if the numbers are [not on the host](super).
    pub fn gradient<B: Backend>(
        &self,
        maxima_gradient: Tensor<B, 2>,
        taps: &MaximumTaps,
    ) -> Option<Tensor<B, 2>> {
        let ([_, channels], device) = (maxima_gradient.dims(), maxima_gradient.device());
        let gradient = on_host(maxima_gradient, |maxima_gradient| {
            let length = self.inner * channels;
            let mut gradient = vec![0.0; self.outer * self.side * length];
            if length == 0 {
                return gradient;
            }
            let maxima = maxima_gradient
                .chunks_exact(length)
                .zip(taps.0.chunks_exact(length));
            for ((outer, window), (maxima_gradient, taps)) in self.each_window().zip(maxima) {
                for tap in 0..self.taps.kernel {
                    let position = outer * self.side + self.taps.position(window, tap, self.side);
                    let gradient = &mut gradient[position * length..][..length];
                    let maxima = maxima_gradient.iter().zip(taps);
                    for (gradient, (&maximum_gradient, &at)) in gradient.iter_mut().zip(maxima) {
                        let is_here = usize::from(at) == tap;
                        *gradient += if is_here { maximum_gradient } else { 0.0 };
                    }
                }
            }
            gradient
        })?;
        Some(self.tensor(gradient, self.side, channels, &device))
    }

    /// The windows, with the position on the axes before.
    fn each_window(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let windows = self.windows;
        (0..self.outer).flat_map(move |outer| (0..windows).map(move |window| (outer, window)))
    }

    /// The numbers of the rows that a window sees at a tap.
    fn seen<'a>(
        &self,
        rows: &'a [f32],
        (outer, window): (usize, usize),
        tap: usize,
        length: usize,
    ) -> &'a [f32] {
        let position = outer * self.side + self.taps.position(window, tap, self.side);
        &rows[position * length..][..length]
    }

    /// Rows of `positions` positions.
    fn tensor<B: Backend>(
        &self,
        numbers: Vec<f32>,
        positions: usize,
        channels: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let rows = self.outer * positions * self.inner;
        Tensor::from_data(TensorData::new(numbers, [rows, channels]), device)
    }
}

/// Replaces maxima by larger candidates.
fn raise(maxima: &mut [f32], candidates: &[f32]) {
    for (maximum, &candidate) in maxima.iter_mut().zip(candidates) {
        *maximum = if *maximum < candidate {
            candidate
        } else {
            *maximum
        };
    }
}
