//! Max pooling on channels-last feature maps.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend, module::max_pool2d};

use super::ComputePath;

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
    pub fn forward<B: Backend>(&self, x: Tensor<B, 4>, path: ComputePath) -> Tensor<B, 4> {
        match path {
            ComputePath::Rows => self.forward_rows(x),
            ComputePath::Native => self.forward_native(x),
        }
    }

    /// The maximum along the width, then along the height.
    fn forward_rows<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, h, w, c] = x.dims();
        let (x, w) = self.along(x.reshape([n * h * w, c]), n * h, w, 1);
        let (x, h) = self.along(x, n, h, w);
        x.reshape([n, h, w, c])
    }

    /// The maximum over windows along one axis of `side` positions, `inner` rows apart, with
    /// `outer` positions of the axes before it: rows [outer·side·inner, C] →
    /// [outer·side'·inner, C], and side'.
    fn along<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
        outer: usize,
        side: usize,
        inner: usize,
    ) -> (Tensor<B, 2>, usize) {
        let room = side + 2 * self.padding - self.kernel_size;
        let windows = match self.ceil_mode {
            true => room.div_ceil(self.stride),
            false => room / self.stride,
        } + 1;
        // A place outside the map is moved to the nearest inside, which the window also covers.
        let position = |window: usize, place: usize| {
            (window * self.stride + place)
                .saturating_sub(self.padding)
                .min(side - 1)
        };
        let shifted = |place: usize| {
            if self.stride == 1 && place == self.padding && windows == side {
                return rows.clone();
            }
            let indices: Vec<i64> = (0..outer)
                .flat_map(|o| (0..windows).map(move |window| o * side + position(window, place)))
                .flat_map(|start| (0..inner).map(move |i| (start * inner + i) as i64))
                .collect();
            let length = indices.len();
            let indices = TensorData::new(indices, [length]);
            let indices = Tensor::<B, 1, Int>::from_data(indices, &rows.device());
            rows.clone().select(0, indices)
        };
        let places = (1..self.kernel_size).map(shifted);
        (places.fold(shifted(0), Tensor::max_pair), windows)
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
        let paths = [ComputePath::Rows, ComputePath::Native];
        for (((kernel_size, stride, padding), path), (ceil_mode, side)) in pools
            .into_iter()
            .flat_map(|pool| paths.map(|path| (pool, path)))
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
            let y = pool.forward(x.clone(), path);
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
