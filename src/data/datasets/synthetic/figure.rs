//! The figures of the synthetic dataset.

use std::f32::consts::{PI, TAU};

use image::{Rgb, RgbImage};
use rand::RngExt;

use super::background::{Background, between, colours};
use crate::data::random::{Purpose, stream};

/// Side of a drawing in pixels. The transform resizes it to the network's input.
const SIDE: u32 = 48;
/// Points per pixel and direction. Their mean makes edges smooth.
const OVERSAMPLING: u32 = 2;
/// Smallest h of the harmonics of the outline. h = 1 would only move it.
const FIRST_HARMONIC: usize = 2;
/// Number of harmonics.
const HARMONICS: usize = 5;
/// Σ aₕ, in mean radii.
const OUTLINE_DEPTH: f32 = 0.6;
/// Radius of a hole, in mean radii.
const HOLE_RADIUS: (f32, f32) = (0.16, 0.28);
/// Distance of a hole's centre from the figure's, in mean radii.
const HOLE_DISTANCE: (f32, f32) = (0.15, 0.62);
/// Smallest distance between the edges of two holes, in mean radii.
const HOLE_GAP: f32 = 0.08;
/// Mean radius of a figure of scale 1, in sides.
const MEAN_RADIUS: f32 = 0.3;
/// Range of the scale of a figure.
const SCALE: (f32, f32) = (0.8, 1.2);
/// Largest rotation in either direction, in radians.
const TURN: f32 = 20.0 / 180.0 * PI;
/// Largest shift in each direction, in sides.
const SHIFT: f32 = 0.07;
/// Largest noise of a channel in either direction.
const NOISE: f32 = 0.05;

/// The shape of a class; lengths in mean radii.
pub(super) struct Figure {
    /// (aₕ cos φₕ, aₕ sin φₕ) by harmonic.
    outline: [(f32, f32); HARMONICS],
    /// Centre and radius of each hole.
    holes: Vec<([f32; 2], f32)>,
}

impl Figure {
    /// Draws the shape of a class.
    pub(super) fn for_class(seed: u64, class: usize) -> Self {
        let mut rng = stream(Purpose::SyntheticClass, seed, class, 0);
        let heights: [f32; HARMONICS] = std::array::from_fn(|i| {
            rng.random_range(0.3..1.0) / ((FIRST_HARMONIC + i) as f32).sqrt()
        });
        let sum: f32 = heights.iter().sum();
        let outline = heights.map(|height| {
            let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
            let height = height * OUTLINE_DEPTH / sum;
            (height * cos, height * sin)
        });
        let count = rng.random_range(1..=3);
        let mut holes: Vec<([f32; 2], f32)> = Vec::new();
        // This ends, since a third hole always fits: with the smallest radius, the other two exclude less
        // than 2 · 114° of the circle of outermost centres.
        while holes.len() < count {
            let distance = between(&mut rng, HOLE_DISTANCE);
            let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
            let centre = [distance * cos, distance * sin];
            let radius = between(&mut rng, HOLE_RADIUS);
            if holes
                .iter()
                .all(|(other, r)| length(centre, *other) > radius + r + HOLE_GAP)
            {
                holes.push((centre, radius));
            }
        }
        Self { outline, holes }
    }

    /// Returns whether the point, in mean radii from the centre, is inside the figure.
    fn covers(&self, [x, y]: [f32; 2]) -> bool {
        let distance = x.hypot(y);
        // The outline is between these two circles.
        if distance > 1.0 + OUTLINE_DEPTH {
            return false;
        }
        if self
            .holes
            .iter()
            .any(|(centre, r)| length([x, y], *centre) < *r)
        {
            return false;
        }
        if distance < 1.0 - OUTLINE_DEPTH {
            return true;
        }
        // cos(hθ + φ) = cos φ cos hθ − sin φ sin hθ, and (cos hθ, sin hθ) is the h-th power of the
        // complex number (cos θ, sin θ).
        let unit = (x / distance, y / distance);
        let times = |(re, im): (f32, f32)| (re * unit.0 - im * unit.1, re * unit.1 + im * unit.0);
        let mut power = (1..FIRST_HARMONIC).fold(unit, |power, _| times(power));
        let mut radius = 1.0;
        for (cos, sin) in self.outline {
            radius += cos * power.0 - sin * power.1;
            power = times(power);
        }
        distance < radius
    }

    /// Draws one image of the class.
    pub(super) fn draw(&self, seed: u64, class: usize, instance: usize) -> RgbImage {
        let rng = &mut stream(Purpose::SyntheticImage, seed, class, instance);
        let radius = MEAN_RADIUS * between(rng, SCALE);
        let (sin, cos) = rng.random_range(-TURN..TURN).sin_cos();
        let shift: [f32; 2] = [
            rng.random_range(-SHIFT..SHIFT),
            rng.random_range(-SHIFT..SHIFT),
        ];
        let (colour, dark) = colours(rng);
        let background = Background::new(rng, dark);

        let step = 1.0 / (SIDE * OVERSAMPLING) as f32;
        let point = |pixel: u32, sub: u32| ((pixel * OVERSAMPLING + sub) as f32 + 0.5) * step - 0.5;
        RgbImage::from_fn(SIDE, SIDE, |column, row| {
            let mut covered = 0;
            for sub in 0..OVERSAMPLING * OVERSAMPLING {
                let x = (point(column, sub % OVERSAMPLING) - shift[0]) / radius;
                let y = (point(row, sub / OVERSAMPLING) - shift[1]) / radius;
                covered += u32::from(self.covers([x * cos + y * sin, y * cos - x * sin]));
            }
            let share = covered as f32 / (OVERSAMPLING * OVERSAMPLING) as f32;
            let behind = background.at(
                column as f32 / SIDE as f32 - 0.5,
                row as f32 / SIDE as f32 - 0.5,
            );
            Rgb(std::array::from_fn(|c| {
                let noise = rng.random_range(-NOISE..NOISE);
                let value = colour[c] * share + behind[c] * (1.0 - share) + noise;
                (value.clamp(0.0, 1.0) * 255.0).round() as u8
            }))
        })
    }
}

fn length(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}
