//! The values in the windows of a convolution, as a matrix.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::windows::Windows;

/// The values in each window, `[N·H'·W', k·k·C]`, of `x` `[N, H, W, C]`; 0 outside.
///
/// `None` if [no kernel is available](super::available).
pub fn im2col<B: Backend>(x: Tensor<B, 4>, windows: Windows) -> Option<Tensor<B, 2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        let [columns] =
            super::launch::run::<B, 1, 1>([super::launch::primitive(x)], cube::Im2col(windows))?;
        Some(super::launch::tensor(columns))
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, windows);
        None
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use burn_cubecl::CubeRuntime;
    use burn_cubecl::kernel::into_contiguous;
    use burn_cubecl::tensor::CubeTensor;
    use cubecl::calculate_cube_count_elemwise;
    use cubecl::ir::StorageType;
    use cubecl::prelude::*;

    use crate::kernels::division::Division;
    use crate::kernels::launch::{Kernel, like};
    use crate::kernels::windows::{Taps, Windows, on_map};

    /// One vector of channels of one tap of a window per unit.
    #[cube(launch, address_type = "dynamic")]
    fn gather<E: Float, N: Size>(
        x: &Array<Vector<E, N>>,
        output: &mut Array<Vector<E, N>>,
        vectors: usize,
        columns: usize,
        input_height: usize,
        input_width: usize,
        output_height: usize,
        output_width: usize,
        #[comptime] windows: Taps,
        #[define(E)] _dtype: StorageType,
    ) {
        if ABSOLUTE_POS >= vectors {
            terminate!();
        }
        let column = ABSOLUTE_POS % columns;
        let tap = ABSOLUTE_POS / columns % (windows.kernel * windows.kernel);
        let window = ABSOLUTE_POS / columns / (windows.kernel * windows.kernel);
        let left = (window % output_width) * windows.stride + tap % windows.kernel;
        let top = (window / output_width % output_height) * windows.stride + tap / windows.kernel;
        let image = window / output_width / output_height;
        let position = on_map(image, top, left, input_height, input_width, windows);
        let mut value = Vector::<E, N>::cast_from(Vector::<f32, N>::new(0.0));
        if position.inside {
            value = x[position.number * columns + column];
        }
        output[ABSOLUTE_POS] = value;
    }

    pub(super) struct Im2col(pub(super) Windows);

    impl Kernel<1, 1> for Im2col {
        fn launch<R: CubeRuntime>(self, [x]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
            let Self(windows) = self;
            let x = into_contiguous(x);
            let [images, _, _, channels] = x.meta.shape().dims();
            let [height, width] = windows.output;
            let taps = windows.kernel * windows.kernel;
            let rows = images * height * width;
            let output = like(&x, [rows, taps * channels], x.dtype);
            let division = Division::new(rows * taps, channels);
            let (client, vectors) = (x.client.clone(), division.vectors());
            let cube_dim = CubeDim::new(&client, vectors);
            let address = x
                .required_address_type()
                .max(output.required_address_type());
            let dtype = x.dtype;
            gather::launch::<R>(
                &client,
                calculate_cube_count_elemwise(&client, vectors, cube_dim),
                cube_dim,
                address,
                division.vector,
                x.into_array_arg(),
                output.clone().into_array_arg(),
                vectors,
                division.columns,
                windows.input[0],
                windows.input[1],
                height,
                width,
                windows.into(),
                dtype.into(),
            );
            [output]
        }
    }
}
