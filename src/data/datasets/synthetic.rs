//! A fine-grained set drawn from a seed: light figures with holes on dark ground.
//!
//! What makes a class is a **shape**: a closed curve r(θ) = 1 + Σ aₕ cos(hθ + φₕ), h = 2 … 6, and
//! one to three round holes in it. Everything else differs from image to image: place, size, turn,
//! both colours, the ground's gradient and stripes, and noise. Colours are the larger part of a
//! pixel distance, so that the nearest image by pixels is seldom of the same class; a network has
//! to learn what to look past. Mirroring is a fair augmentation: no class is another's mirror image.
//!
//! Every image is a function of (drawing seed, class, instance) alone.

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use image::{Rgb, RgbImage};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::data::config::SyntheticConfig;
use crate::data::parallel::in_parallel;
use crate::data::random::{Purpose, stream};
use crate::data::{DataError, Images, Split, Splits};

/// Subset of a drawing in pixels; the transform brings it to the network's size.
const SIDE: u32 = 48;
/// Points per pixel and direction, of which the mean is taken: smooth edges.
const OVERSAMPLING: u32 = 2;
/// The smallest h of the harmonics that bend the outline; h = 1 would only move it.
const FIRST_HARMONIC: usize = 2;
/// Number of harmonics.
const HARMONICS: usize = 5;
/// Σ aₕ, in mean radii.
const OUTLINE_DEPTH: f32 = 0.6;
/// Radius of a hole, in mean radii.
const HOLE_RADIUS: (f32, f32) = (0.16, 0.28);
/// Distance of a hole's centre from the figure's, in mean radii.
const HOLE_DISTANCE: (f32, f32) = (0.15, 0.62);
/// Least figure between two holes, in mean radii.
const HOLE_GAP: f32 = 0.08;
/// Mean radius of a figure of size 1, in sides.
const MEAN_RADIUS: f32 = 0.3;
/// Size of a figure.
const SCALE: (f32, f32) = (0.8, 1.2);
/// Largest turn to either side, in radians.
const TURN: f32 = 20.0 / 180.0 * PI;
/// Largest shift in each direction, in sides.
const SHIFT: f32 = 0.07;
/// Least difference in luminance between the figure and its ground, on the scale 0 to 1.
const CONTRAST: f32 = 0.35;
/// Red, green and blue's share of luminance (ITU-R BT.601).
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// Largest change of a ground's channel across the side.
const GRADIENT: f32 = 0.2;
/// Height of the ground's stripes.
const STRIPES: f32 = 0.06;
/// Stripes along a side.
const STRIPE_COUNT: (f32, f32) = (2.0, 6.0);
/// Largest noise of a channel to either side.
const NOISE: f32 = 0.05;

/// Draws both splits: the first half of the classes trains, the second tests.
pub(in crate::data) fn open(config: &SyntheticConfig, workers: usize) -> Result<Splits, DataError> {
    if config.classes < 4 || config.classes % 2 == 1 {
        return Err(DataError::setting(
            "data.classes",
            config.classes,
            "half of the synthetic classes train and half test; choose an even number from 4",
        ));
    }
    if config.images_per_class < 2 {
        return Err(DataError::setting(
            "data.images_per_class",
            config.images_per_class,
            "an image needs another of its class; choose at least 2",
        ));
    }
    let half = config.classes / 2;
    Ok(Splits {
        train: draw_split("train", config, 0, half, workers),
        test: draw_split("test", config, half, half, workers),
        warnings: Vec::new(),
    })
}

struct Drawings {
    first_class: usize,
    images_per_class: usize,
    images: Vec<RgbImage>,
}

impl Images for Drawings {
    fn image(&self, index: usize, _needed: Option<u32>) -> Result<RgbImage, DataError> {
        Ok(self.images[index].clone())
    }

    fn name(&self, index: usize) -> String {
        let class = self.first_class + index / self.images_per_class;
        format!("{}/{}", class_name(class), index % self.images_per_class)
    }
}

fn class_name(class: usize) -> String {
    format!("figure-{class:03}")
}

fn draw_split(
    name: &'static str,
    config: &SyntheticConfig,
    first_class: usize,
    classes: usize,
    workers: usize,
) -> Split {
    let &SyntheticConfig {
        images_per_class,
        drawing_seed,
        ..
    } = config;
    let figures: Vec<Figure> = (first_class..first_class + classes)
        .map(|class| Figure::of_class(drawing_seed, class))
        .collect();
    let images = in_parallel(workers, classes * images_per_class, |i| {
        let (class, instance) = (i / images_per_class, i % images_per_class);
        figures[class].draw(drawing_seed, first_class + class, instance)
    });
    Split::new(
        name,
        (first_class..first_class + classes)
            .map(class_name)
            .collect(),
        (0..classes * images_per_class)
            .map(|i| i / images_per_class)
            .collect(),
        Arc::new(Drawings {
            first_class,
            images_per_class,
            images,
        }),
    )
}

/// What the images of a class have in common; lengths in mean radii.
struct Figure {
    /// (aₕ cos φₕ, aₕ sin φₕ) by harmonic.
    outline: [(f32, f32); HARMONICS],
    /// Centre and radius.
    holes: Vec<([f32; 2], f32)>,
}

impl Figure {
    fn of_class(seed: u64, class: usize) -> Self {
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
        // A third hole always finds room: with the smallest radius, the other two keep it from less
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

    /// Whether the point, in mean radii from the centre, is figure and not ground.
    fn covers(&self, [x, y]: [f32; 2]) -> bool {
        let distance = x.hypot(y);
        // No part of the outline lies outside of or inside these circles.
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

    fn draw(&self, seed: u64, class: usize, instance: usize) -> RgbImage {
        let rng = &mut stream(Purpose::SyntheticImage, seed, class, instance);
        let radius = MEAN_RADIUS * between(rng, SCALE);
        let (sin, cos) = rng.random_range(-TURN..TURN).sin_cos();
        let shift: [f32; 2] = [
            rng.random_range(-SHIFT..SHIFT),
            rng.random_range(-SHIFT..SHIFT),
        ];
        let (colour, ground) = colours(rng);
        let ground = Ground::new(rng, ground);

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
            let ground = ground.at(
                column as f32 / SIDE as f32 - 0.5,
                row as f32 / SIDE as f32 - 0.5,
            );
            Rgb(std::array::from_fn(|c| {
                let noise = rng.random_range(-NOISE..NOISE);
                let value = colour[c] * share + ground[c] * (1.0 - share) + noise;
                (value.clamp(0.0, 1.0) * 255.0).round() as u8
            }))
        })
    }
}

/// What lies behind the figure: a colour with a gradient and faint stripes.
struct Ground {
    colour: [f32; 3],
    /// Change of each channel across the side, along `direction`.
    gradient: [f32; 3],
    direction: [f32; 2],
    /// Phase in radians, and its change along both axes.
    stripes: (f32, [f32; 2]),
}

impl Ground {
    fn new(rng: &mut ChaCha8Rng, colour: [f32; 3]) -> Self {
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

    /// The colour at a point, in sides from the middle.
    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let along = x * self.direction[0] + y * self.direction[1];
        let (phase, change) = self.stripes;
        let stripe = STRIPES * (phase + x * change[0] + y * change[1]).sin();
        std::array::from_fn(|c| self.colour[c] + along * self.gradient[c] + stripe)
    }
}

/// Two colours, the first lighter than the second by at least [`CONTRAST`].
fn colours(rng: &mut ChaCha8Rng) -> ([f32; 3], [f32; 3]) {
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

fn between(rng: &mut ChaCha8Rng, (low, high): (f32, f32)) -> f32 {
    rng.random_range(low..high)
}

fn length(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Transform;
    use crate::data::config::TransformConfig;

    fn draw(classes: usize, images_per_class: usize, drawing_seed: u64, workers: usize) -> Splits {
        let config = SyntheticConfig {
            classes,
            images_per_class,
            drawing_seed,
        };
        open(&config, workers).unwrap()
    }

    fn images(split: &Split) -> Vec<RgbImage> {
        (0..split.labels().len())
            .map(|i| split.image(i).unwrap())
            .collect()
    }

    #[test]
    fn drawings_depend_on_the_seed_alone() {
        let once = draw(4, 3, 5, 1);
        assert_eq!(images(&once.test), images(&draw(4, 3, 5, 3).test));
        assert_ne!(images(&once.test), images(&draw(4, 3, 6, 1).test));
        // More images leave those that were there as they were.
        let more = draw(4, 5, 5, 2);
        assert_eq!(once.test.image(4).unwrap(), more.test.image(6).unwrap());
    }

    #[test]
    fn halves_have_classes_of_their_own() {
        let splits = draw(6, 2, 1, 2);
        assert_eq!(
            splits.train.class_names(),
            ["figure-000", "figure-001", "figure-002"]
        );
        assert_eq!(
            splits.test.class_names(),
            ["figure-003", "figure-004", "figure-005"]
        );
        assert_eq!(splits.test.labels(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(splits.test.image_name(5), "figure-005/1");
    }

    #[test]
    fn the_default_set_is_not_solved_by_pixels() {
        let splits = open(&SyntheticConfig::default(), 2).unwrap();
        let transform = Transform::new(&TransformConfig::default()).unwrap();
        let labels = splits.test.labels();
        let pixels: Vec<Vec<f32>> = images(&splits.test)
            .iter()
            .map(|image| {
                let mut values = vec![0.0; transform.values_per_image()];
                transform.normalize(&transform.test(image), &mut values);
                values
            })
            .collect();
        let squared = |a: &[f32], b: &[f32]| -> f32 {
            // Sixteen running sums, which the compiler turns into vector instructions.
            let mut sums = [0.0_f32; 16];
            for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
                for i in 0..16 {
                    sums[i] += (a[i] - b[i]) * (a[i] - b[i]);
                }
            }
            sums.iter().sum()
        };
        // Every eighth image is a query against all the others.
        let queries: Vec<usize> = (0..pixels.len()).step_by(8).collect();
        let hits = queries.iter().filter(|&&query| {
            let others = (0..pixels.len()).filter(|&i| i != query);
            let nearest = others.min_by(|&a, &b| {
                squared(&pixels[query], &pixels[a]).total_cmp(&squared(&pixels[query], &pixels[b]))
            });
            labels[nearest.unwrap()] == labels[query]
        });
        let recall = hits.count() as f64 / queries.len() as f64;
        assert!(
            (0.05..0.4).contains(&recall),
            "R@1 of raw pixels is {recall}"
        );
    }

    #[test]
    fn odd_or_few_classes_and_single_images_are_refused() {
        for (classes, images_per_class, key) in [
            (5, 4, "data.classes = 5"),
            (2, 4, "data.classes = 2"),
            (8, 1, "data.images_per_class = 1"),
        ] {
            let config = SyntheticConfig {
                classes,
                images_per_class,
                drawing_seed: 1,
            };
            let message = open(&config, 1).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
