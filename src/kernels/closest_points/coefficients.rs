//! The derivative of a measure of two curves.

use cubecl::prelude::*;

/// The number of [`Coefficients`].
pub(super) const COEFFICIENTS: usize = 7;

/// The factors of the inner products in row i's half of the derivative of the measure of curves i and j. In memory they
/// are [`COEFFICIENTS`] matrices `[P, P]` in the order of the fields.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Coefficients {
    /// Of mᵢ·mⱼ.
    pub(super) mm: f32,
    /// Of mᵢ·tⱼ.
    pub(super) mt: f32,
    /// Of tᵢ·mⱼ.
    pub(super) tm: f32,
    /// Of tᵢ·tⱼ.
    pub(super) tt: f32,
    /// Of mᵢ·mᵢ.
    pub(super) own_mm: f32,
    /// Of mᵢ·tᵢ and tᵢ·mᵢ.
    pub(super) own_mt: f32,
    /// Of tᵢ·tᵢ.
    pub(super) own_tt: f32,
}

/// Writes the coefficients of pair number `position` of `entries`.
#[cube]
pub(super) fn store(
    coefficients: Coefficients,
    memory: &mut Array<f32>,
    entries: usize,
    position: usize,
) {
    memory[position] = coefficients.mm;
    memory[entries + position] = coefficients.mt;
    memory[2 * entries + position] = coefficients.tm;
    memory[3 * entries + position] = coefficients.tt;
    memory[4 * entries + position] = coefficients.own_mm;
    memory[5 * entries + position] = coefficients.own_mt;
    memory[6 * entries + position] = coefficients.own_tt;
}

/// Reads the coefficients of pair number `position` of `entries`.
#[cube]
pub(super) fn load(memory: &Array<f32>, entries: usize, position: usize) -> Coefficients {
    Coefficients {
        mm: memory[position],
        mt: memory[entries + position],
        tm: memory[2 * entries + position],
        tt: memory[3 * entries + position],
        own_mm: memory[4 * entries + position],
        own_mt: memory[5 * entries + position],
        own_tt: memory[6 * entries + position],
    }
}
