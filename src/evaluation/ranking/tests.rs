//! Ranks compared with sorted neighbours.

use burn::tensor::TensorData;
use proptest::prelude::*;

use super::super::recall::Recall;
use super::*;
use crate::cancellation::CancellationToken;
use crate::geometry::simulated_device::{WITHOUT_F64, on};
use crate::geometry::test_batches::near;
use crate::progress::test_observer::RecordingObserver;

type B = burn_flex::Flex;

/// The ranks of all positives of each query; empty for a query without.
type Ranks = Vec<Vec<usize>>;

fn tensor(rows: &[Vec<f32>]) -> Tensor<B, 2> {
    let dim = rows.first().map_or(1, Vec::len);
    let data = TensorData::new(rows.concat(), [rows.len(), dim]);
    Tensor::from_data(data, &Default::default())
}

fn nearest(rows: &[Vec<f32>], labels: &[usize]) -> Vec<Option<usize>> {
    nearest_positive_ranks(tensor(rows), labels, None)
}

fn all_ranks(rows: &[Vec<f32>], labels: &[usize], roles: Option<&[Role]>) -> Ranks {
    let reduce = Reduce {
        nearest: false,
        ranks: <[usize]>::to_vec,
    };
    let ranks = rank(tensor(rows), labels, roles, &reduce, Monitor::none()).unwrap();
    let nearest = nearest_positive_ranks(tensor(rows), labels, roles);
    let first = ranks
        .iter()
        .map(|ranks| ranks.as_ref().map(|ranks| ranks[0]));
    assert_eq!(first.collect::<Vec<_>>(), nearest);
    ranks.into_iter().map(Option::unwrap_or_default).collect()
}

/// The ranks by the algorithm for GPUs, in `f64`.
fn ranks_on_device(rows: &[Vec<f32>], labels: &[usize], roles: Option<&[Role]>) -> Ranks {
    let search = Search::new(labels, roles, |_| true);
    if search.gallery.is_empty() {
        return vec![Vec::new(); search.query_count];
    }
    let reduce = Reduce {
        nearest: false,
        ranks: <[usize]>::to_vec,
    };
    let device = Default::default();
    let values = tensor(rows).into_data().into_vec::<f32>().unwrap();
    let vectors = Vectors::new(values, rows[0].len());
    let (reduce, monitor) = (&reduce, Monitor::none());
    let ranks = device::rank::<B, _>(&search, labels, &vectors, &device, reduce, monitor).unwrap();
    ranks.into_iter().map(Option::unwrap_or_default).collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b);
    pairs
        .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
        .sum()
}

/// Sorts the neighbours of a query in `f64`; images of other classes win ties.
fn oracle_of(query: usize, rows: &[Vec<f32>], labels: &[usize], roles: &[Role]) -> Vec<usize> {
    let gallery = (0..rows.len()).filter(|&i| i != query && roles[i].is_in_gallery());
    let neighbour = |i: usize| {
        let positive = labels[i] == labels[query];
        (squared_distance(&rows[query], &rows[i]), positive)
    };
    let mut others: Vec<(f64, bool)> = gallery.map(neighbour).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let ranked = others.iter().zip(1..);
    ranked
        .filter(|((_, positive), _)| *positive)
        .map(|(_, rank)| rank)
        .collect()
}

fn oracle(rows: &[Vec<f32>], labels: &[usize], roles: &[Role]) -> Ranks {
    let queries = (0..rows.len()).filter(|&query| roles[query].is_query());
    queries
        .map(|query| oracle_of(query, rows, labels, roles))
        .collect()
}

/// Pseudo-random numbers from −1 to 1.
fn noise(i: usize, k: usize) -> f32 {
    let hash = (i as u64 * 1_000_003 + k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 23) as f32
        - 1.0
}

#[test]
fn identical_images_are_neighbours_of_each_other_but_not_of_themselves() {
    let rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]].map(|row| row.to_vec());
    assert_eq!(nearest(&rows, &[0, 0, 1, 1]), [Some(1); 4]);
    // The identical image is of the other class and ranks before the positive.
    let rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 2.0]].map(|row| row.to_vec());
    assert_eq!(nearest(&rows, &[0, 1, 0, 1])[0], Some(2));
}

#[test]
fn queries_are_counted_and_cancellation_ends_the_ranking() {
    // 5,000 images are several tiles.
    let embeddings = || {
        let numbers = (0..5_000).map(|i| noise(i, 0)).collect();
        Tensor::<B, 2>::from_data(TensorData::new(numbers, [5_000, 1]), &Default::default())
    };
    let labels = vec![0; 5_000];
    let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
    let monitored = |observer| {
        let monitor = Monitor::new(&token, observer);
        nearest_positive_ranks_monitored(embeddings(), &labels, None, monitor)
    };
    assert_eq!(monitored(&observer).unwrap(), vec![Some(1); 5_000]);
    assert_eq!(observer.task("ranking"), Some((5_000, Some(5_000), true)));

    let observer = RecordingObserver::cancelling("ranking", &token);
    assert_eq!(monitored(&observer), Err(Cancelled));
    let (done, _, finished) = observer.task("ranking").unwrap();
    assert!(done < 5_000 && !finished, "{done} queries");
    // A cancelled token prevents all work.
    let observer = RecordingObserver::default();
    assert_eq!(monitored(&observer), Err(Cancelled));
    assert_eq!(observer.task("ranking"), None);
}

#[test]
fn collapsed_network_has_recall_zero() {
    let rows = vec![vec![0.6, 0.8]; 6];
    let labels = [0, 0, 1, 1, 2, 2];
    assert_eq!(all_ranks(&rows, &labels, None), vec![vec![5]; 6]);
    let ranks = nearest(&rows, &labels);
    assert_eq!(Recall::from_ranks(&ranks, &[1, 4]).at[&4], 0.0);
    // More positives than are compared one by one.
    let rows = vec![vec![0.6, 0.8]; 202];
    let labels: Vec<usize> = (0..202).map(|i| i % 2).collect();
    let last: Vec<usize> = (102..202).collect();
    assert_eq!(all_ranks(&rows, &labels, None), vec![last; 202]);
}

#[test]
fn image_alone_in_its_class_is_not_counted() {
    let rows = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]].map(|row| row.to_vec());
    let ranks = nearest(&rows, &[0, 0, 1]);
    assert_eq!(ranks, [Some(1), Some(1), None]);
    let recall = Recall::from_ranks(&ranks, &[1, 2]);
    assert_eq!(recall.queries, 2);
    assert_eq!(recall.at_1(), 1.0);
}

#[test]
fn empty_split_and_single_image_have_recall_zero() {
    assert!(nearest(&[], &[]).is_empty());
    assert_eq!(nearest(&[vec![1.0]], &[0]), [None]);
    assert_eq!(Recall::from_ranks(&[None], &[1]).at_1(), 0.0);
}

#[test]
fn embeddings_that_are_not_finite_are_no_neighbours_and_have_none() {
    let rows = [0.0, 1.0, f32::NAN, f32::INFINITY, 3.0, 5.5].map(|x| vec![x]);
    let labels = [0, 0, 0, 1, 1, 1];
    let expected = [vec![1], vec![1], vec![], vec![], vec![2], vec![1]];
    assert_eq!(all_ranks(&rows, &labels, None), expected);
    let measures = measure_queries(tensor(&rows), &labels, None, Monitor::none()).unwrap();
    assert_eq!(measures.iter().flatten().count(), 4);
}

#[test]
fn ranks_are_those_of_distances_in_f64() {
    let labels: Vec<usize> = (0..300).map(|i| i / 5).collect();
    let rows = |spread: f32, around: f32, scale: f32| -> Vec<Vec<f32>> {
        let number = |i: usize, k: usize| {
            (around + spread * (noise(i / 5, k) + noise(i + 1_000, k))) * scale
        };
        (0..300)
            .map(|i| (0..48).map(|k| number(i, k)).collect())
            .collect()
    };
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
        let rows = rows(spread, around, scale);
        let expected = oracle(&rows, &labels, &[Role::Both; 300]);
        let actual = all_ranks(&rows, &labels, None);
        assert_eq!(actual, expected, "{spread} around {around}, times {scale}");
    }
}

#[test]
fn one_distant_embedding_does_not_disturb_the_others() {
    let labels: Vec<usize> = (0..200).map(|i| i / 4).collect();
    let mut rows: Vec<Vec<f32>> = (0..200)
        .map(|i| (0..16).map(|k| noise(i, k)).collect())
        .collect();
    rows[7] = vec![1e6; 16];
    assert_eq!(
        all_ranks(&rows, &labels, None),
        oracle(&rows, &labels, &[Role::Both; 200])
    );
}

#[test]
fn near_embeddings_keep_their_order_on_devices_without_f64() {
    // All within 0.05 of one point: in plain `f32` their distances differ by less than rounding, in
    // TF32 they are noise.
    let rows = near(100, 64, 0.05, 0.03);
    let labels: Vec<usize> = (0..200).map(|i| i / 4).collect();
    let expected = oracle(&rows, &labels, &[Role::Both; 200]);
    for device in WITHOUT_F64 {
        let actual = on(device, || all_ranks(&rows, &labels, None));
        assert_eq!(actual, expected, "{device:?}");
    }
}

#[test]
fn tiles_have_the_ranks_of_one_matrix() {
    // Several tiles, the last one partial. Classes of 5 images and one of 100, across the border of two
    // tiles; ties by rounding to few values.
    let n = 4_500;
    let labels: Vec<usize> = (0..n)
        .map(|i| {
            if (2000..2100).contains(&i) {
                400
            } else {
                i / 5
            }
        })
        .collect();
    let rows: Vec<Vec<f32>> = (0..n)
        .map(|i| {
            let number = |k| noise(labels[i], k) + 0.7 * noise(i + 10_000, k);
            (0..4).map(|k| (20.0 * number(k)).round() / 20.0).collect()
        })
        .collect();
    let cycle = [Role::Both, Role::Query, Role::Gallery, Role::Gallery];
    for roles in [vec![Role::Both; n], (0..n).map(|i| cycle[i % 4]).collect()] {
        let actual = all_ranks(&rows, &labels, Some(&roles));
        let queries = (0..n).filter(|&i| roles[i].is_query());
        // Each query of the oracle sorts all neighbours, so a sample is compared.
        for (number, query) in queries.enumerate() {
            if number % 53 == 0 || (1990..2110).contains(&query) && number % 5 == 0 {
                let expected = oracle_of(query, &rows, &labels, &roles);
                assert_eq!(actual[number], expected, "query {query}");
            }
        }
    }
}

#[test]
fn measures_are_those_of_the_ranks() {
    let labels: Vec<usize> = (0..120).map(|i| i / 6).collect();
    let rows: Vec<Vec<f32>> = (0..120)
        .map(|i| {
            (0..3)
                .map(|k| noise(i / 6, k) + noise(i + 500, k))
                .collect()
        })
        .collect();
    let measured = measure_queries(tensor(&rows), &labels, None, Monitor::none()).unwrap();
    for (measures, ranks) in measured.iter().zip(all_ranks(&rows, &labels, None)) {
        assert_eq!(*measures, Some(QueryMeasures::from_ranks(&ranks)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Coordinates are small integers: every product is exact in `f32`, so all ranks agree, ties included.
    #[test]
    fn ranks_equal_those_of_sorted_neighbours(
        points in proptest::collection::vec((proptest::collection::vec(-4i8..=4, 3), 0usize..4, 0usize..3), 1..200),
        with_roles: bool,
        on_device: bool,
    ) {
        let rows: Vec<Vec<f32>> = points
            .iter()
            .map(|(point, ..)| point.iter().map(|&x| f32::from(x)).collect())
            .collect();
        let labels: Vec<usize> = points.iter().map(|(_, label, _)| *label).collect();
        let role = |role: usize| match with_roles {
            true => [Role::Both, Role::Query, Role::Gallery][role],
            false => Role::Both,
        };
        let roles: Vec<Role> = points.iter().map(|(.., r)| role(*r)).collect();
        let some_roles = with_roles.then_some(&roles[..]);
        let found = match on_device {
            true => ranks_on_device(&rows, &labels, some_roles),
            false => all_ranks(&rows, &labels, some_roles),
        };
        prop_assert_eq!(found, oracle(&rows, &labels, &roles));
    }
}
