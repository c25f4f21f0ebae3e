//! The sum over the units of a cube.

use cubecl::prelude::*;

/// The sum of `value` over the units of a cube in one column, in a fixed order. All units must call it; those of the
/// first row get the sum, and others their own `value`.
///
/// `across` and `down` are the units of a cube along its columns and rows.
#[cube]
pub(super) fn sum_of_cube<N: Size>(
    value: Vector<f32, N>,
    #[comptime] across: usize,
    #[comptime] down: usize,
) -> Vector<f32, N> {
    let mut shared = SharedMemory::<Vector<f32, N>>::new(across * down);
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut sum = value;
    if UNIT_POS_Y == 0 {
        for other in 1..down {
            sum += shared[other * across + UNIT_POS_X as usize];
        }
    }
    // The memory may be used again for the next sum.
    sync_cube();
    sum
}
