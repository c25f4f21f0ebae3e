//! Lengths and their inverses, as in `geometry`.

use cubecl::prelude::*;

/// f32's ε squared: squares up to this one are those of zero lengths.
const NEGLIGIBLE_SQUARE: f32 = f32::EPSILON * f32::EPSILON;

/// √x; 0 if x is negligible or negative.
#[cube]
pub(super) fn length_of_square(square: f32) -> f32 {
    let negligible = square <= NEGLIGIBLE_SQUARE;
    let length = select(negligible, 1.0, square).sqrt();
    select(negligible, 0.0, length)
}

/// 1/x; 0 if x is 0.
#[cube]
pub(super) fn reciprocal_or_zero(x: f32) -> f32 {
    let zero = x == 0.0;
    let reciprocal = 1.0 / select(zero, 1.0, x);
    select(zero, 0.0, reciprocal)
}
