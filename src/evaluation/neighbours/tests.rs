//! Neighbours compared with those of plain loops in `f64`.

use proptest::prelude::*;

use super::*;
use crate::cancellation::CancellationToken;
use crate::geometry::simulated_device::{WITHOUT_F64, on};
use crate::progress::test_observer::RecordingObserver;

type B = burn_flex::Flex;

fn search(queries: &[f32], gallery: &[f32], dim: usize, k: usize) -> Vec<Vec<Neighbour>> {
    excluding(queries, gallery, dim, k, &|_, _| false)
}

fn excluding(
    queries: &[f32],
    gallery: &[f32],
    dim: usize,
    k: usize,
    is_excluded: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<Vec<Neighbour>> {
    let search = NeighbourSearch {
        queries,
        gallery,
        dim,
        k,
        is_excluded,
    };
    nearest_neighbours::<B>(search, &Default::default(), Monitor::none()).unwrap()
}

/// Sorts the whole gallery for each query.
fn oracle(
    queries: &[f32],
    gallery: &[f32],
    dim: usize,
    k: usize,
    is_excluded: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<Vec<Neighbour>> {
    let neighbours = |(at, query): (usize, &[f32])| {
        let gallery = gallery.chunks(dim).enumerate();
        let others = gallery.filter(|(row, _)| !is_excluded(at, *row));
        let distance = |other: &[f32]| {
            let pairs = query.iter().zip(other);
            let squares = pairs.map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let mut found: Vec<Neighbour> = others
            .map(|(row, other)| Neighbour {
                row,
                distance: distance(other),
            })
            .collect();
        // A stable sort: of rows as near, the first in the gallery is first.
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        found.truncate(k);
        found
    };
    queries.chunks(dim).enumerate().map(neighbours).collect()
}

/// Checks rows, and distances up to the order in which `f64` sums.
fn assert_same(found: &[Vec<Neighbour>], expected: &[Vec<Neighbour>]) {
    assert_eq!(found.len(), expected.len());
    for (query, (found, expected)) in found.iter().zip(expected).enumerate() {
        let rows = |of: &[Neighbour]| of.iter().map(|n| n.row).collect::<Vec<_>>();
        assert_eq!(rows(found), rows(expected), "query {query}");
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found.distance - expected.distance).abs();
            assert!(difference <= 1e-13 * expected.distance, "query {query}");
        }
    }
}

/// Pseudo-random numbers from −1 to 1.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let number = |i: u64| {
        let hash = (i + seed * 1_000_003 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(number).collect()
}

fn rows_of(found: &[Vec<Neighbour>]) -> Vec<Vec<usize>> {
    let rows = |of: &Vec<Neighbour>| of.iter().map(|neighbour| neighbour.row).collect();
    found.iter().map(rows).collect()
}

#[test]
fn distances_are_euclidean_and_the_nearest_is_first() {
    let found = search(&[0.0, 0.0], &[3.0, 4.0, 1.0, 0.0, 0.0, 2.0], 2, 2);
    let expected = [(1, 1.0), (2, 2.0)].map(|(row, distance)| Neighbour { row, distance });
    assert_eq!(found, [expected]);
}

#[test]
fn rows_as_near_are_in_the_order_of_the_gallery() {
    let gallery = [1.0, -1.0, 0.5, 1.0, -1.0, 1.0];
    assert_eq!(rows_of(&search(&[0.0], &gallery, 1, 4)), [[2, 0, 1, 3]]);
    // All rows are one point.
    let equal = vec![0.25; 3 * 5_000];
    assert_eq!(rows_of(&search(&equal[..6], &equal, 3, 3)), [[0, 1, 2]; 2]);
}

#[test]
fn k_above_the_gallery_returns_the_whole_gallery() {
    assert_eq!(rows_of(&search(&[0.0], &[2.0, 1.0], 1, 10)), [[1, 0]]);
    assert_eq!(rows_of(&search(&[0.0], &[7.0], 1, 1)), [[0]]);
    assert_eq!(search(&[0.0], &[7.0], 1, 0), [vec![]]);
}

#[test]
fn empty_sides_have_no_neighbours() {
    assert_eq!(search(&[0.0, 1.0], &[], 1, 3), [vec![], vec![]]);
    assert!(search(&[], &[1.0], 1, 3).is_empty());
}

#[test]
fn excluded_rows_are_not_neighbours() {
    let rows = noise(300 * 4, 1);
    let itself = |query: usize, row: usize| query == row || row == 7;
    let found = excluding(&rows, &rows, 4, 5, &itself);
    assert_same(&found, &oracle(&rows, &rows, 4, 5, &itself));
    let nothing = excluding(&rows, &rows, 4, 5, &|_, _| true);
    assert!(nothing.iter().all(Vec::is_empty));
}

#[test]
fn rows_that_are_not_finite_are_no_neighbours_and_have_none() {
    let rows = [0.0, f32::NAN, 1.0, f32::INFINITY, 5.0];
    let expected: [&[usize]; 5] = [&[0, 2, 4], &[], &[2, 0, 4], &[], &[4, 2, 0]];
    assert_eq!(rows_of(&search(&rows, &rows, 1, 5)), expected);
}

#[test]
fn tiles_have_the_neighbours_of_one_matrix() {
    // Several tiles on both sides, the last ones partial.
    let (queries, gallery) = (noise(2_100 * 3, 2), noise(5_000 * 3, 3));
    let found = search(&queries, &gallery, 3, 7);
    // The oracle sorts the gallery for each query, so a sample is compared.
    for query in (0..2_100).step_by(97).chain([2_047, 2_048, 2_099]) {
        let own = &queries[query * 3..][..3];
        let expected = oracle(own, &gallery, 3, 7, &|_, _| false);
        assert_same(&found[query..=query], &expected);
    }
}

#[test]
fn rows_that_come_nearer_and_nearer_are_found() {
    let gallery: Vec<f32> = (0..6_000).rev().map(|x| x as f32).collect();
    let found = search(&[-1.0], &gallery, 1, 3);
    assert_eq!(rows_of(&found), [[5_999, 5_998, 5_997]]);
}

#[test]
fn neighbours_are_those_of_distances_in_f64() {
    for (spread, around, scale) in [
        (1.0, 0.0, 1.0),
        // Near a common point that is far away, and so near that only few numbers are between them.
        (1e-3, 1.0, 1.0),
        (1e-6, 1.0, 1.0),
        // Squares that overflow or vanish in `f32`.
        (1.0, 0.0, 1e30),
        (1.0, 0.0, 1e-30),
        (1.0, 0.0, 1e-42),
    ] {
        let rows = |count: usize, seed| -> Vec<f32> {
            let noise = noise(count * 24, seed).into_iter();
            noise.map(|x| (around + spread * x) * scale).collect()
        };
        let (queries, gallery) = (rows(40, 4), rows(500, 5));
        let expected = oracle(&queries, &gallery, 24, 12, &|_, _| false);
        assert_same(&search(&queries, &gallery, 24, 12), &expected);
        for device in WITHOUT_F64 {
            let found = on(device, || search(&queries, &gallery, 24, 12));
            assert_same(&found, &expected);
        }
    }
}

#[test]
fn one_distant_query_does_not_disturb_the_others() {
    let gallery = noise(400 * 8, 6);
    let mut queries = noise(20 * 8, 7);
    queries[..8].fill(1e7);
    let expected = oracle(&queries, &gallery, 8, 5, &|_, _| false);
    assert_same(&search(&queries, &gallery, 8, 5), &expected);
}

#[test]
fn queries_are_counted_and_cancellation_ends_the_search() {
    let rows = noise(5_000, 8);
    let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
    let search = NeighbourSearch {
        queries: &rows,
        gallery: &rows,
        dim: 1,
        k: 1,
        is_excluded: &|query, row| query == row,
    };
    let monitor = Monitor::new(&token, &observer);
    nearest_neighbours::<B>(search, &Default::default(), monitor).unwrap();
    assert_eq!(observer.task("searching"), Some((5_000, Some(5_000), true)));
    let observer = RecordingObserver::cancelling("searching", &token);
    let monitor = Monitor::new(&token, &observer);
    assert!(nearest_neighbours::<B>(search, &Default::default(), monitor).is_err());
    assert_eq!(observer.abandoned(), ["searching"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Coordinates are small integers: every product is exact in `f32`, so ties are frequent and equal in both.
    #[test]
    fn neighbours_equal_those_of_sorted_distances(
        queries in proptest::collection::vec(-4i8..=4, 1..40),
        gallery in proptest::collection::vec(-4i8..=4, 1..300),
        dim in 1usize..4,
        k in 1usize..12,
        modulus in 1usize..9,
    ) {
        let whole = |numbers: &[i8]| -> Vec<f32> {
            let count = numbers.len() / dim * dim;
            numbers[..count].iter().map(|&x| f32::from(x)).collect()
        };
        let (queries, gallery) = (whole(&queries), whole(&gallery));
        let excluded = |query: usize, row: usize| (query + row).is_multiple_of(modulus + 1);
        let found = excluding(&queries, &gallery, dim, k, &excluded);
        prop_assert_eq!(found, oracle(&queries, &gallery, dim, k, &excluded));
    }
}
