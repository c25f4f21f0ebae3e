//! The colours and backgrounds of the synthetic dataset.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Smallest difference in luminance between the figure and the background, on the scale 0 to 1.
const CONTRAST: f32 = 0.35;
/// Share of red, green and blue in luminance (ITU-R BT.601).
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// Largest change of a background's channel across the side.
const GRADIENT: f32 = 0.2;
/// Amplitude of the background's stripes.
const STRIPES: f32 = 0.06;
/// Range of the number of stripes along a side.
const STRIPE_COUNT: (f32, f32) = (2.0, 6.0);

/// The background: a colour with a gradient and faint stripes.
pub(super) struct Background {
    colour: [f32; 3],
    /// Change of each channel across the side, along `direction`.
    gradient: [f32; 3],
    direction: [f32; 2],
    /// Phase in radians, and its change along both axes.
    stripes: (f32, [f32; 2]),
}

impl Background {
    /// Draws gradient and stripes for a colour.
    pub(super) fn new(rng: &mut ChaCha8Rng, colour: [f32; 3]) -> Self {
        let direction = |rng: &mut ChaCha8Rng| {
            let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
            [cos, sin]
        };
        let frequency = TAU * between(rng, STRIPE_COUNT);
        Self {
            colour,
            gradient: std::array::from_fn(|_| rng.random_range(-GRADIENT..GRADIENT)),
            direction: direction(rng),
            stripes: (
                rng.random_range(0.0..TAU),
                direction(rng).map(|component| component * frequency),
            ),
        }
    }

    /// Returns the colour at a point, in sides from the centre.
    pub(super) fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let along = x * self.direction[0] + y * self.direction[1];
        let (phase, change) = self.stripes;
        let stripe = STRIPES * (phase + x * change[0] + y * change[1]).sin();
        std::array::from_fn(|c| self.colour[c] + along * self.gradient[c] + stripe)
    }
}

/// Draws two colours. The luminance of the first exceeds that of the second by at least [`CONTRAST`].
pub(super) fn colours(rng: &mut ChaCha8Rng) -> ([f32; 3], [f32; 3]) {
    let luminance =
        |colour: &[f32; 3]| -> f32 { colour.iter().zip(LUMINANCE).map(|(c, w)| c * w).sum() };
    loop {
        let light: [f32; 3] = rng.random();
        let dark: [f32; 3] = rng.random();
        if luminance(&light) - luminance(&dark) >= CONTRAST {
            return (light, dark);
        }
    }
}

/// Draws a number that is uniform in `low..high`.
pub(super) fn between(rng: &mut ChaCha8Rng, (low, high): (f32, f32)) -> f32 {
    rng.random_range(low..high)
}
