//! The windows that a kernel slides over, and the rows of a channels-last map that they see.

use burn::tensor::{
    IndexingUpdateOp, Int, Tensor, TensorData, backend::Backend, ops::PaddedConvOptions,
};

use super::Padding;

/// The most numbers that the windows of one piece of a batch are written to, 16 MiB: larger buffers
/// leave the processor's caches, and the system hands them out anew, page by page, for each use.
#[cfg(not(test))]
const PIECE: usize = 4 * 1024 * 1024;

/// In tests, so that small batches come in pieces.
#[cfg(test)]
const PIECE: usize = 4 * 1024;

/// The square windows of a kernel of side k on maps `[N, H, W, ·]`; there are `[N, H', W']`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) images: usize,
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    /// Zeros before and after each axis.
    zeros: [[usize; 2]; 2],
}

impl Windows {
    /// The windows on `x` `[N, H, W, C]`.
    pub(super) fn new<B: Backend>(
        x: &Tensor<B, 4>,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Self {
        let [images, h, w, _] = x.dims();
        let size = [h, w];
        Self {
            images,
            size,
            kernel,
            stride,
            zeros: size.map(|side| padding.around(side, kernel, stride)),
        }
    }

    /// Whether every window is a position of the input.
    pub(super) fn are_positions(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && !self.padded()
    }

    fn padded(&self) -> bool {
        self.zeros != [[0; 2]; 2]
    }

    /// H' and W'.
    pub(super) fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let [before, after] = self.zeros[axis];
            (self.size[axis] + before + after - self.kernel) / self.stride + 1
        })
    }

    /// Burn's name for the same windows.
    pub(super) fn options(&self, groups: usize) -> PaddedConvOptions<2> {
        let [[top, bottom], [left, right]] = self.zeros;
        let stride = [self.stride; 2];
        PaddedConvOptions::asymmetric(stride, [top, left], [bottom, right], [1; 2], groups)
    }

    /// The windows on the outputs through which the places of these see each position of the input;
    /// none where they are more than one position apart, or are the positions.
    pub(super) fn mirrored(&self) -> Option<Self> {
        let fits = self
            .zeros
            .iter()
            .flatten()
            .all(|&zeros| zeros < self.kernel);
        (self.stride == 1 && self.kernel > 1 && fits).then(|| Self {
            size: self.output_size(),
            zeros: self
                .zeros
                .map(|axis| axis.map(|zeros| self.kernel - 1 - zeros)),
            ..*self
        })
    }

    /// These windows on so many images that their places see at most [`PIECE`] numbers of `channels`
    /// channels, at least on one image; on all of them where there is nothing to gather, and where
    /// autodiff would keep every piece.
    pub(super) fn piece<B: Backend>(&self, channels: usize, device: &B::Device) -> Self {
        if self.are_positions() || B::ad_enabled(device) {
            return *self;
        }
        let [h, w] = self.output_size();
        let most = (PIECE / (h * w * self.kernel.pow(2) * channels)).max(1);
        Self {
            images: most.min(self.images),
            ..*self
        }
    }

    /// Where the windows see what.
    pub(super) fn gather<B: Backend>(&self, device: &B::Device) -> Gather<B> {
        let rows = (!self.are_positions()).then(|| as_tensor(self.seen_rows(), device));
        Gather {
            windows: *self,
            rows,
        }
    }

    /// `x` `[N, H, W, C]` as rows `[N·H·W, C]`, and before them, where there is padding, one row of
    /// zeros that stands for all of it.
    pub(super) fn rows_and_padding<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let device = x.device();
        let rows = as_rows(x);
        match self.padded() {
            false => rows,
            true => {
                let zeros = Tensor::zeros([1, rows.dims()[1]], &device);
                Tensor::cat(vec![zeros, rows], 0)
            }
        }
    }

    /// `rows` without the row of zeros, `[N, H, W, C]`.
    pub(super) fn without_padding<B: Backend>(&self, rows: Tensor<B, 2>) -> Tensor<B, 4> {
        let ([h, w], channels) = (self.size, rows.dims()[1]);
        let positions = self.images * h * w;
        let rows = rows.narrow(0, usize::from(self.padded()), positions);
        rows.reshape([self.images, h, w, channels])
    }

    /// For each window, the row of [`rows_and_padding`](Self::rows_and_padding) that it sees at
    /// `place` of the k².
    pub(super) fn seen_at<B: Backend>(
        &self,
        place: usize,
        device: &B::Device,
    ) -> Tensor<B, 1, Int> {
        let (down, across) = (place / self.kernel, place % self.kernel);
        let [h_out, w_out] = self.output_size();
        let [[top, _], [left, _]] = self.zeros;
        let [h, w] = self.size;
        let columns: Vec<Option<usize>> = (0..w_out)
            .map(|j| self.inside(j, across, left, w))
            .collect();
        let mut rows = Vec::with_capacity(self.images * h_out * w_out);
        for image in 0..self.images {
            for i in 0..h_out {
                let start = self.line_start(image, self.inside(i, down, top, h));
                rows.extend(columns.iter().map(|&column| row(start, column)));
            }
        }
        as_tensor::<B>(rows, device)
    }

    /// For each window and each of its k² places, the row of
    /// [`rows_and_padding`](Self::rows_and_padding) that it sees. The rows of the first images do not
    /// depend on how many follow.
    fn seen_rows(&self) -> Vec<i32> {
        let [h, w] = self.size;
        let [h_out, w_out] = self.output_size();
        let [[top, _], [left, _]] = self.zeros;
        let mut rows = Vec::with_capacity(self.images * h_out * w_out * self.kernel.pow(2));
        for image in 0..self.images {
            for i in 0..h_out {
                for j in 0..w_out {
                    for down in 0..self.kernel {
                        let start = self.line_start(image, self.inside(i, down, top, h));
                        rows.extend(
                            (0..self.kernel)
                                .map(|across| row(start, self.inside(j, across, left, w))),
                        );
                    }
                }
            }
        }
        rows
    }

    /// The position along an axis of `side` positions, with so many zeros before it, that a window sees
    /// at a place; none on the padding.
    fn inside(&self, window: usize, place: usize, before: usize, side: usize) -> Option<usize> {
        (window * self.stride + place)
            .checked_sub(before)
            .filter(|&position| position < side)
    }

    /// The row of the first position of a line.
    fn line_start(&self, image: usize, line: Option<usize>) -> Option<usize> {
        let [h, w] = self.size;
        line.map(|line| (image * h + line) * w + usize::from(self.padded()))
    }
}

/// The row at a column of the line that starts at `start`, or the row of zeros.
fn row(start: Option<usize>, column: Option<usize>) -> i32 {
    match (start, column) {
        (Some(start), Some(column)) => (start + column) as i32,
        _ => 0,
    }
}

/// Where windows see what, for as many images as the windows have or fewer.
pub(super) struct Gather<B: Backend> {
    windows: Windows,
    /// For each place of each window its row; none where windows are the rows.
    rows: Option<Tensor<B, 1, Int>>,
}

impl<B: Backend> Gather<B> {
    /// What each window sees, `[N·H'·W', k·k·C]`, of `x` `[N, H, W, C]`.
    pub(super) fn columns(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let Some(rows) = &self.rows else {
            return as_rows(x);
        };
        let [images, .., channels] = x.dims();
        let (windows, places) = self.count(images);
        let seen = self.windows.rows_and_padding(x);
        let seen = seen.select(0, rows.clone().narrow(0, 0, windows * places));
        seen.reshape([windows, places * channels])
    }

    /// The sums over the places that see a position, `[N, H, W, C]`, of `columns` `[N·H'·W', k·k·C]`
    /// of N `images`: the adjoint of [`columns`](Self::columns).
    pub(super) fn scatter(&self, columns: Tensor<B, 2>, images: usize) -> Tensor<B, 4> {
        let device = columns.device();
        let [h, w] = self.windows.size;
        let (windows, places) = self.count(images);
        let channels = columns.dims()[1] / places;
        let Some(rows) = &self.rows else {
            return columns.reshape([images, h, w, channels]);
        };
        let columns = columns.reshape([windows * places, channels]);
        let first = usize::from(self.windows.padded());
        let sums = Tensor::zeros([first + images * h * w, channels], &device);
        let rows = rows.clone().narrow(0, 0, windows * places);
        let sums = sums.select_assign(0, rows, columns, IndexingUpdateOp::Add);
        let windows = Windows {
            images,
            ..self.windows
        };
        windows.without_padding(sums)
    }

    /// The windows on so many images, and the places of each.
    fn count(&self, images: usize) -> (usize, usize) {
        let [h, w] = self.windows.output_size();
        (images * h * w, self.windows.kernel.pow(2))
    }
}

/// A map `[N, H, W, C]` as `[N·H·W, C]`.
pub(super) fn as_rows<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, h, w, c] = map.dims();
    map.reshape([n * h * w, c])
}

fn as_tensor<B: Backend>(rows: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let length = rows.len();
    Tensor::from_data(TensorData::new(rows, [length]), device)
}
