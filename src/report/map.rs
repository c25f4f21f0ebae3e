//! The map of embeddings: principal components, then t-SNE, of the images of drawn classes.

use std::collections::BTreeMap;

use bhtsne::tSNE;
use burn::tensor::backend::Backend;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use super::evaluated_split::EmbeddedRows;
use super::principal_components::principal_components;
use crate::cancellation::Cancelled;
use crate::panic_capture::catch_quietly;
use crate::progress::{Monitor, Unit};

/// The most images of a map.
const IMAGES: usize = 1_000;
/// The most images of one class.
const OF_ONE_CLASS: usize = 50;
/// The fewest images that t-SNE arranges. Fewer have no neighbourhoods.
const FEWEST: usize = 12;
/// Principal components that t-SNE reads.
const COMPONENTS: usize = 50;
/// The perplexity, about the number of neighbours that are kept near (van der Maaten and Hinton, JMLR 2008).
const PERPLEXITY: f64 = 30.0;
/// The accuracy of the Barnes-Hut approximation; 0 is exact.
const THETA: f64 = 0.5;
/// Iterations of t-SNE.
const ITERATIONS: usize = 750;
/// The spread of the first positions, small as t-SNE needs it.
const FIRST_SPREAD: f64 = 1e-4;

/// How the images of a map were arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// By t-SNE from the principal components.
    TSne,
    /// By the first two principal components: too few images for t-SNE, or equal embeddings.
    PrincipalComponents,
}

/// Images with positions in the plane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EmbeddingMap {
    /// The rows that are shown.
    pub rows: Vec<usize>,
    /// Their positions, each coordinate 0 to 1.
    pub positions: Vec<[f64; 2]>,
    /// The number of classes that are shown.
    pub classes: usize,
    /// How they were arranged.
    pub arrangement: Arrangement,
}

impl EmbeddingMap {
    /// Arranges the images of classes that `seed` draws, up to 1,000 images, 50 of a class. The same embeddings and
    /// seed give the same map. `None` for fewer than two images.
    ///
    /// # Errors
    /// If a stop was requested.
    pub(super) fn new<B: Backend>(
        rows: &EmbeddedRows,
        seed: u64,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<Option<Self>, Cancelled> {
        let (drawn, classes) = drawn_rows(rows, seed);
        if drawn.len() < 2 {
            return Ok(None);
        }
        monitor.check()?;
        let values: Vec<f32> = drawn
            .iter()
            .flat_map(|&row| rows.row(row))
            .copied()
            .collect();
        let components = COMPONENTS.min(rows.dim);
        let reduced = principal_components::<B>(&values, rows.dim, components, device);
        let first = first_two(&reduced, components);
        let task = monitor.task("arranging the map", Some(ITERATIONS), Unit::Iterations);
        let arranged = t_sne(&reduced, components, &first, || {
            // t-SNE cannot be stopped; the request is checked below.
            let _ = task.advance(1);
        });
        task.check()?;
        task.finish();
        let (positions, arrangement) = match arranged {
            Some(positions) => (positions, Arrangement::TSne),
            None => (first, Arrangement::PrincipalComponents),
        };
        Ok(Some(Self {
            rows: drawn,
            positions: scaled(&positions),
            classes,
            arrangement,
        }))
    }
}

/// The rows of drawn classes, by class, and the number of classes.
fn drawn_rows(rows: &EmbeddedRows, seed: u64) -> (Vec<usize>, usize) {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &label) in rows.labels.iter().enumerate() {
        members.entry(label).or_default().push(row);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut classes: Vec<(usize, Vec<usize>)> = members.into_iter().collect();
    classes.shuffle(&mut random);
    // All classes are shown if each may have at least two images.
    let share = (IMAGES / classes.len().max(1)).clamp(1, OF_ONE_CLASS);
    let share = if share < 2 { OF_ONE_CLASS } else { share };
    let mut drawn: Vec<(usize, usize)> = Vec::new();
    let mut shown = 0;
    for (label, mut images) in classes {
        images.shuffle(&mut random);
        images.truncate(share);
        if drawn.len() + images.len() > IMAGES {
            break;
        }
        drawn.extend(images.iter().map(|&row| (label, row)));
        shown += 1;
    }
    drawn.sort_unstable();
    (drawn.into_iter().map(|(_, row)| row).collect(), shown)
}

/// The first two components of each row; 0 for the second if there is only one.
fn first_two(reduced: &[f32], components: usize) -> Vec<[f64; 2]> {
    let at = |row: &[f32], i: usize| row.get(i).copied().map_or(0.0, f64::from);
    reduced
        .chunks(components)
        .map(|row| [at(row, 0), at(row, 1)])
        .collect()
}

/// Positions by t-SNE. `next` is called after each iteration. `None` for few images and for embeddings without
/// differences.
fn t_sne(
    reduced: &[f32],
    components: usize,
    first: &[[f64; 2]],
    next: impl Fn() + Send + Sync,
) -> Option<Vec<[f64; 2]>> {
    let count = first.len();
    let spread = first.iter().map(|at| at[0].abs()).fold(0.0, f64::max);
    if count < FEWEST || spread.is_nan() || spread <= 0.0 {
        return None;
    }
    let rows: Vec<&[f32]> = reduced.chunks(components).collect();
    let initial: Vec<f64> = first
        .iter()
        .flatten()
        .map(|x| x / spread * FIRST_SPREAD)
        .collect();
    let perplexity = PERPLEXITY.min((count - 1) as f64 / 3.0);
    let distance = |a: &&[f32], b: &&[f32]| {
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        a.iter().zip(*b).map(square).sum::<f64>().sqrt()
    };
    // On several threads, sums depend on which thread was faster.
    let pool = ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    let arrange = || {
        let mut t_sne: tSNE<'_, f64, &[f32], 2> = tSNE::new(&rows);
        t_sne.perplexity(perplexity).initial_embedding(initial);
        t_sne.epochs(ITERATIONS).epoch_callback(|_, _| next());
        t_sne.barnes_hut(THETA, distance).embedding()
    };
    // Degenerate distances must not end the report.
    let positions = pool.install(|| catch_quietly(arrange)).ok()?;
    let positions: Vec<[f64; 2]> = positions.chunks(2).map(|at| [at[0], at[1]]).collect();
    let finite = positions.iter().flatten().all(|x| x.is_finite());
    (finite && positions.len() == count).then_some(positions)
}

/// Moves and scales positions to 0 to 1, by one factor for both directions, and centres the shorter one.
fn scaled(positions: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let bounds = [0, 1].map(|i| {
        let values = positions.iter().map(|at| at[i]);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        (low, values.fold(f64::NEG_INFINITY, f64::max))
    });
    let longest = bounds.map(|(low, high)| high - low);
    let longest = longest[0].max(longest[1]);
    let scale = |x: f64, (low, high): (f64, f64)| match longest > 0.0 {
        true => 0.5 + (x - (low + high) / 2.0) / longest,
        false => 0.5,
    };
    let scaled = |at: &[f64; 2]| [scale(at[0], bounds[0]), scale(at[1], bounds[1])];
    positions.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    type B = burn_flex::Flex;

    /// Groups of images around the axes of a space of 8 dimensions.
    fn groups(classes: usize, images: usize, noise: f32) -> EmbeddedRows {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut rows = EmbeddedRows {
            dim: 8,
            ..EmbeddedRows::default()
        };
        for class in 0..classes {
            for _ in 0..images {
                rows.indices.push(rows.labels.len());
                rows.labels.push(class);
                for axis in 0..8 {
                    let centre = f32::from(u8::from(axis == class % 8));
                    rows.values.push(centre + noise * random.random::<f32>());
                }
            }
        }
        rows
    }

    fn map(rows: &EmbeddedRows, seed: u64) -> Option<EmbeddingMap> {
        EmbeddingMap::new::<B>(rows, seed, &Default::default(), Monitor::none()).unwrap()
    }

    #[test]
    fn groups_are_apart_and_the_same_seed_gives_the_same_map() {
        let rows = groups(4, 12, 0.1);
        let found = map(&rows, 1).unwrap();
        assert_eq!(found.arrangement, Arrangement::TSne);
        assert_eq!((found.rows.len(), found.classes), (48, 4));
        assert_eq!(map(&rows, 1).unwrap(), found);
        let distance = |a: usize, b: usize| {
            let (a, b) = (found.positions[a], found.positions[b]);
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        // The nearest image of each is one of its class.
        for a in 0..48 {
            let others = (0..48).filter(|&b| b != a);
            let nearest = others.min_by(|&b, &c| distance(a, b).total_cmp(&distance(a, c)));
            assert_eq!(nearest.unwrap() / 12, a / 12);
        }
        assert!(
            found
                .positions
                .iter()
                .flatten()
                .all(|x| (0.0..=1.0).contains(x))
        );
    }

    #[test]
    fn few_and_equal_images_are_arranged_without_t_sne_and_one_is_not() {
        let few = map(&groups(2, 3, 0.1), 1).unwrap();
        assert_eq!(few.arrangement, Arrangement::PrincipalComponents);
        let mut equal = groups(4, 12, 0.0);
        equal.values.fill(0.25);
        let equal = map(&equal, 1).unwrap();
        assert_eq!(equal.arrangement, Arrangement::PrincipalComponents);
        assert!(equal.positions.iter().flatten().all(|&x| x == 0.5));
        // Only copies of four points.
        let copies = map(&groups(4, 12, 0.0), 1).unwrap();
        assert!(copies.positions.iter().flatten().all(|x| x.is_finite()));
        assert_eq!(map(&groups(1, 1, 0.0), 1), None);
        assert_eq!(map(&groups(0, 1, 0.0), 1), None);
    }

    #[test]
    fn images_and_classes_are_bounded() {
        let many = drawn_rows(&groups(60, 40, 0.0), 1);
        // 60 classes with 16 of 40 images each.
        assert_eq!((many.0.len(), many.1), (960, 60));
        let large = drawn_rows(&groups(3, 400, 0.0), 1);
        assert_eq!((large.0.len(), large.1), (150, 3));
        let small = drawn_rows(&groups(900, 5, 0.0), 1);
        assert_eq!((small.0.len(), small.1), (1000, 200));
    }
}
