//! Batches for the tests of geometry, negatives and losses, special cases included.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::oracle::{Rows, dot, plus, scaled, unit};

/// A reproducible random number generator.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Returns a uniform number in [low, high).
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.random::<f64>()).cos()
    }

    /// Returns a direction, uniform on the unit sphere.
    pub(crate) fn direction(&mut self, dim: usize) -> Vec<f64> {
        let normals: Vec<f64> = (0..dim).map(|_| self.normal()).collect();
        unit(&normals)
    }
}

/// Kinds of batches of pairs, whose arcs are compared with one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Ends uniform on the sphere.
    Random,
    /// Ends near a centre, another one for each pair.
    Clustered,
    /// All ends within 1e-3 of one point, as in a collapsed model.
    Collapsed,
    /// All arcs contain one point.
    Crossing,
    /// Ends 1e-7 to 1e-1 apart, the arcs 1e-6 to 2 from each other.
    NearIdentical,
    /// Identical ends.
    Identical,
    /// Ends selected from three images, so that arcs share ends or coincide.
    Repeated,
    /// Ends opposite to within 1e-5 to 1, every second arc opposite to the one before.
    NearAntipodal,
    /// Ends exactly opposite.
    Antipodal,
    /// All arcs on one great circle.
    Coplanar,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Random,
        Self::Clustered,
        Self::Collapsed,
        Self::Crossing,
        Self::NearIdentical,
        Self::Identical,
        Self::Repeated,
        Self::NearAntipodal,
        Self::Antipodal,
        Self::Coplanar,
    ];

    /// Creates rows of unit length to the rounding of `f32`; rows 2i and 2i + 1 are the ends of arc i.
    pub(crate) fn rows(self, pairs: usize, dim: usize, seed: u64) -> Rows {
        let mut draws = Draws::new(seed);
        let centre = draws.direction(dim);
        let other = unit(&{
            let direction = draws.direction(dim);
            plus(&direction, -dot(&direction, &centre), &centre)
        });
        let pool: Vec<_> = (0..3).map(|_| draws.direction(dim)).collect();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for pair in 0..pairs {
            let start = draws.direction(dim);
            let step = draws.direction(dim);
            let ends = match self {
                Self::Random => [start, step],
                Self::Clustered => [
                    plus(&start, 0.3, &step),
                    plus(&start, 0.3, &draws.direction(dim)),
                ],
                Self::Collapsed => [plus(&centre, 1e-3, &start), plus(&centre, 1e-3, &step)],
                Self::Crossing => {
                    let (back, on) = (draws.uniform(0.0, 1.5), draws.uniform(0.0, 1.5));
                    let side = unit(&plus(&step, -dot(&step, &centre), &centre));
                    [-back, on].map(|angle| plus(&scaled(&centre, angle.cos()), angle.sin(), &side))
                }
                Self::NearIdentical => {
                    let offset = 10f64.powf(draws.uniform(-6.0, 0.0));
                    let start = unit(&plus(&centre, offset, &start));
                    let length = 10f64.powf(draws.uniform(-7.0, -1.0));
                    [start.clone(), plus(&start, length, &step)]
                }
                Self::Identical => [start.clone(), start],
                Self::Repeated => [0, 1].map(|_| pool[draws.uniform(0.0, 3.0) as usize].clone()),
                Self::NearAntipodal if pair % 2 == 1 => {
                    let before = &rows[rows.len() - 2..];
                    [scaled(&before[0], -1.0), scaled(&before[1], -1.0)]
                }
                Self::NearAntipodal => {
                    let off = 10f64.powf(draws.uniform(-5.0, 0.0));
                    [start.clone(), plus(&scaled(&start, -1.0), off, &step)]
                }
                Self::Antipodal => [start.clone(), scaled(&start, -1.0)],
                Self::Coplanar => {
                    let first = draws.uniform(0.0, 6.3);
                    [first, first + draws.uniform(0.0, 3.0)]
                        .map(|angle| plus(&scaled(&centre, angle.cos()), angle.sin(), &other))
                }
            };
            rows.extend(ends.map(|end| unit(&end)));
        }
        let narrow = |row: Vec<f64>| row.into_iter().map(|x| x as f32).collect();
        rows.into_iter().map(narrow).collect()
    }

    /// As [`rows`](Self::rows), scaled to lengths of 0.3 to 3. Depending on the seed, all rows share a
    /// length, the rows of a pair share a length, or each row has another length.
    pub(crate) fn stretched_rows(self, pairs: usize, dim: usize, seed: u64) -> Rows {
        let mut rows = self.rows(pairs, dim, seed);
        let mut draws = Draws::new(seed);
        let mut length = 1.0;
        for (k, row) in rows.iter_mut().enumerate() {
            let shared_by = [usize::MAX, 2, 1][seed as usize % 3];
            if k % shared_by == 0 {
                length = draws.uniform(0.3, 3.0) as f32;
            }
            row.iter_mut().for_each(|x| *x *= length);
        }
        rows
    }
}

/// Creates pairs of rows of unit length: the rows of a pair within about `spread` of each other, all
/// rows within about `all` of one point.
pub(crate) fn near(pairs: usize, dim: usize, all: f64, spread: f64) -> Rows {
    let mut draws = Draws::new(7);
    let centre = draws.direction(dim);
    let mut rows = Rows::new();
    for _ in 0..pairs {
        let class = draws.direction(dim);
        for _ in 0..2 {
            let own = draws.direction(dim);
            let row: Vec<f64> = (0..dim)
                .map(|k| centre[k] + all * class[k] + spread * own[k])
                .collect();
            rows.push(unit(&row).into_iter().map(|x| x as f32).collect());
        }
    }
    rows
}
