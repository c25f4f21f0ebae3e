//! Max pooling on channels-last feature maps.

use burn::tensor::{
    Bool, IndexingUpdateOp, Int, Tensor, TensorData, backend::Backend, module::max_pool2d,
};

use super::ConvAlgorithm;

/// Max pooling over square windows; places outside the map never win, and of equal values the
/// first in reading order takes the gradient.
///
/// With `ceil_mode` every window must start on the map or its padding, which
/// kernel − padding ≥ stride ensures; PyTorch drops a window that does not, Burn keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window, in positions.
    pub kernel_size: usize,
    /// Step between windows, in positions.
    pub stride: usize,
    /// Places put around the input, in positions.
    pub padding: usize,
    /// Whether the last window may hang over the edge (PyTorch's `ceil_mode`). Else the positions
    /// that fill no window are left out.
    pub ceil_mode: bool,
}

impl MaxPool {
    /// Pools `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C]`
    /// - output: `[N, H', W', C]` with H' = (H + 2·padding − k) / stride + 1, rounded up with
    ///   `ceil_mode`, else down
    pub fn forward<B: Backend>(&self, x: Tensor<B, 4>, algorithm: ConvAlgorithm) -> Tensor<B, 4> {
        match algorithm {
            ConvAlgorithm::Im2col => self.forward_rows(x),
            ConvAlgorithm::Backend => self.forward_native(x),
        }
    }

    /// The maximum along the width, then along the height.
    fn forward_rows<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [along_width, along_height] = self.axes(x.dims());
        let [n, h, _, c] = x.dims();
        let [w_out, h_out] = [along_width.windows, along_height.windows];
        let x = along_width.maxima(x.reshape([n * h * along_width.side, c]));
        let x = along_height.maxima(x);
        x.reshape([n, h_out, w_out, c])
    }

    /// Pools `x` by rows and keeps who won.
    pub(in crate::model) fn forward_with_winners<B: Backend>(
        &self,
        x: Tensor<B, 4>,
    ) -> (Tensor<B, 4>, Winners<B>) {
        let [along_width, along_height] = self.axes(x.dims());
        let [n, h, w, c] = x.dims();
        let shape = [n, along_height.windows, along_width.windows, c];
        let (x, by_width) = along_width.maxima_and_winners(x.reshape([n * h * w, c]));
        let (x, by_height) = along_height.maxima_and_winners(x);
        let winners = Winners {
            axes: [(along_width, by_width), (along_height, by_height)],
            shape: [n, h, w, c],
        };
        (x.reshape(shape), winners)
    }

    /// The width and then the height of maps `[n, h, w, _]`, the width already pooled.
    fn axes(&self, [n, h, w, _]: [usize; 4]) -> [Axis; 2] {
        let axis = |outer: usize, side: usize, inner: usize| {
            let room = side + 2 * self.padding - self.kernel_size;
            let steps = match self.ceil_mode {
                true => room.div_ceil(self.stride),
                false => room / self.stride,
            };
            Axis {
                pool: *self,
                outer,
                side,
                inner,
                windows: steps + 1,
            }
        };
        let along_width = axis(n * h, w, 1);
        [along_width, axis(n, h, along_width.windows)]
    }

    fn forward_native<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        max_pool2d(
            x.permute([0, 3, 1, 2]),
            [self.kernel_size; 2],
            [self.stride; 2],
            [self.padding; 2],
            [1; 2],
            self.ceil_mode,
        )
        .permute([0, 2, 3, 1])
    }
}

/// One axis of a map of rows: `outer` positions of the axes before it, `side` positions along it,
/// `inner` rows for each, of which a pool makes `windows` times `inner`.
#[derive(Debug, Clone, Copy)]
struct Axis {
    pool: MaxPool,
    outer: usize,
    side: usize,
    inner: usize,
    windows: usize,
}

impl Axis {
    /// The maximum of each window: `[outer · side · inner, C]` → `[outer · windows · inner, C]`.
    fn maxima<B: Backend>(&self, rows: Tensor<B, 2>) -> Tensor<B, 2> {
        let places = (1..self.pool.kernel_size).map(|place| self.at(place, &rows));
        places.fold(self.at(0, &rows), Tensor::max_pair)
    }

    /// The same, and for each place but the first where it is larger than all before it.
    fn maxima_and_winners<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
    ) -> (Tensor<B, 2>, Vec<Tensor<B, 2, Bool>>) {
        let mut maxima = self.at(0, &rows);
        let mut winners = Vec::with_capacity(self.pool.kernel_size - 1);
        for place in 1..self.pool.kernel_size {
            let candidates = self.at(place, &rows);
            let larger = maxima.clone().lower(candidates.clone());
            maxima = maxima.mask_where(larger.clone(), candidates);
            winners.push(larger);
        }
        (maxima, winners)
    }

    /// The gradient of the rows from that of the maxima.
    fn gradient<B: Backend>(
        &self,
        of_maxima: Tensor<B, 2>,
        winners: Vec<Tensor<B, 2, Bool>>,
    ) -> Tensor<B, 2> {
        let device = of_maxima.device();
        let rows = self.outer * self.side * self.inner;
        let mut of_rows = Tensor::zeros([rows, of_maxima.dims()[1]], &device);
        let mut left = of_maxima;
        for (place, larger) in winners.into_iter().enumerate().rev() {
            let earlier = left.clone().mask_fill(larger, 0.0);
            of_rows = self.add(of_rows, place + 1, left - earlier.clone());
            left = earlier;
        }
        self.add(of_rows, 0, left)
    }

    /// `rows` with `values`, one for each window, added to what the windows see at `place`.
    fn add<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
        place: usize,
        values: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        match self.indices(place) {
            None => rows + values,
            Some(indices) => {
                let indices = as_tensor::<B>(indices, &rows.device());
                rows.select_assign(0, indices, values, IndexingUpdateOp::Add)
            }
        }
    }

    /// The row that each window sees at `place`.
    fn at<B: Backend>(&self, place: usize, rows: &Tensor<B, 2>) -> Tensor<B, 2> {
        match self.indices(place) {
            None => rows.clone(),
            Some(indices) => rows
                .clone()
                .select(0, as_tensor::<B>(indices, &rows.device())),
        }
    }

    /// The number of the row that each window sees at `place`; none where they are all the rows.
    fn indices(&self, place: usize) -> Option<Vec<i32>> {
        let MaxPool {
            stride, padding, ..
        } = self.pool;
        let Self {
            outer,
            side,
            inner,
            windows,
            ..
        } = *self;
        if stride == 1 && place == padding && windows == side {
            return None;
        }
        // A place outside the map is moved to the nearest inside, which the window also covers.
        let position = |window: usize| {
            (window * stride + place)
                .saturating_sub(padding)
                .min(side - 1)
        };
        let starts =
            (0..outer).flat_map(|o| (0..windows).map(move |window| o * side + position(window)));
        let rows = starts.flat_map(|start| (0..inner).map(move |i| (start * inner + i) as i32));
        Some(rows.collect())
    }
}

fn as_tensor<B: Backend>(indices: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let length = indices.len();
    Tensor::from_data(TensorData::new(indices, [length]), device)
}

/// Which position won each window of a max pool.
pub(in crate::model) struct Winners<B: Backend> {
    /// Along the width and along the height.
    axes: [(Axis, Vec<Tensor<B, 2, Bool>>); 2],
    /// The shape of the input.
    shape: [usize; 4],
}

impl<B: Backend> Winners<B> {
    /// The gradient of the pool's input from that of its output.
    pub(in crate::model) fn gradient(self, of_output: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, h, w, c] = of_output.dims();
        let [(along_width, by_width), (along_height, by_height)] = self.axes;
        let gradient = along_height.gradient(of_output.reshape([n * h * w, c]), by_height);
        along_width.gradient(gradient, by_width).reshape(self.shape)
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::TensorData};

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    /// One channel: 1 to `count` negated, so that a zero of the padding would win if it counted;
    /// and one channel of a wave.
    fn input(count: usize) -> Vec<f32> {
        (0..count)
            .flat_map(|i| [-1.0 - i as f32, (i as f32 * 2.1).sin()])
            .collect()
    }

    #[test]
    fn windows_over_the_edge_and_padding_never_win_and_pass_gradients_to_the_largest() {
        let pools = [(3, 2, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1)];
        let paths = [ConvAlgorithm::Im2col, ConvAlgorithm::Backend];
        for (((kernel_size, stride, padding), algorithm), (ceil_mode, side)) in pools
            .into_iter()
            .flat_map(|pool| paths.map(|algorithm| (pool, algorithm)))
            .flat_map(|case| {
                [(true, 5), (true, 6), (false, 5), (false, 6)].map(|edge| (case, edge))
            })
        {
            let pool = MaxPool {
                kernel_size,
                stride,
                padding,
                ceil_mode,
            };
            let input = input(side * side);
            let x = TensorData::new(input.clone(), [1, side, side, 2]);
            let x = Tensor::<AB, 4>::from_data(x, &Default::default()).require_grad();
            let y = pool.forward(x.clone(), algorithm);
            let [_, h, w, _] = y.dims();
            let room = (side + 2 * padding - kernel_size) as f64 / stride as f64;
            let windows = if ceil_mode { room.ceil() } else { room.floor() };
            assert_eq!([h, w], [windows as usize + 1; 2], "{pool:?} {side}");

            let (mut outputs, mut gradient) = (Vec::new(), vec![0.0_f32; input.len()]);
            for (i, j, c) in (0..h).flat_map(|i| (0..w).flat_map(move |j| [(i, j, 0), (i, j, 1)])) {
                let places = |window: usize| {
                    let start = (window * stride) as isize - padding as isize;
                    (start..start + kernel_size as isize).filter(|p| (0..side as isize).contains(p))
                };
                let rows = places(i)
                    .flat_map(|r| places(j).map(move |k| (r * side as isize + k) as usize * 2 + c));
                let best = rows.max_by(|&a, &b| input[a].total_cmp(&input[b])).unwrap();
                outputs.push(input[best]);
                gradient[best] += 1.0;
            }
            let found = x.grad(&y.clone().sum().backward()).unwrap();
            assert_eq!(
                y.into_data().into_vec::<f32>().unwrap(),
                outputs,
                "{pool:?}"
            );
            let found = found.into_data().into_vec::<f32>().unwrap();
            assert_eq!(found, gradient, "{pool:?} {side}");
        }
    }
}
