use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn statistics(values: &[f32], dim: usize, labels: &[usize]) -> DistanceStatistics {
    let data = TensorData::new(values.to_vec(), [labels.len(), dim]);
    let embeddings = Tensor::<Flex, 2>::from_data(data, &Default::default());
    DistanceStatistics::measure(embeddings, labels, None, |_| true, Monitor::none()).unwrap()
}

/// The statistics by plain loops in `f64`.
fn by_loops(values: &[f32], dim: usize, labels: &[usize]) -> DistanceStatistics {
    let n = labels.len();
    let x = |i: usize, d: usize| f64::from(values[i * dim + d]);
    let distance = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
        (0..dim).map(|d| (a(d) - b(d)).powi(2)).sum::<f64>().sqrt()
    };
    let between = |i: usize, j: usize| distance(&|d| x(i, d), &|d| x(j, d));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mut intra, mut inter, mut margins) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let nearest = |same: bool| {
            let others = (0..n).filter(|&j| j != i && (labels[i] == labels[j]) == same);
            others.map(|j| between(i, j)).reduce(f64::min)
        };
        if let (Some(positive), Some(negative)) = (nearest(true), nearest(false)) {
            margins.push(negative - positive);
        }
        intra.extend(
            (0..i)
                .filter(|&j| labels[i] == labels[j])
                .map(|j| between(i, j)),
        );
    }
    let classes = labels.iter().max().unwrap() + 1;
    let centre = |class: usize, d: usize| {
        let own: Vec<f64> = (0..n)
            .filter(|&i| labels[i] == class)
            .map(|i| x(i, d))
            .collect();
        mean(&own)
    };
    for a in 0..classes {
        inter.extend((0..a).map(|b| distance(&|d| centre(a, d), &|d| centre(b, d))));
    }
    let means: Vec<f64> = (0..dim)
        .map(|d| mean(&(0..n).map(|i| x(i, d)).collect::<Vec<_>>()))
        .collect();
    let covariance = |d: usize, e: usize| {
        let products = (0..n).map(|i| (x(i, d) - means[d]) * (x(i, e) - means[e]));
        products.sum::<f64>() / n as f64
    };
    let trace: f64 = (0..dim).map(|d| covariance(d, d)).sum();
    let squares: f64 = (0..dim)
        .flat_map(|d| (0..dim).map(move |e| (d, e)))
        .map(|(d, e)| covariance(d, e).powi(2))
        .sum();
    DistanceStatistics {
        intra: Some(mean(&intra)),
        inter: Some(mean(&inter)),
        effective_dimension: Some(trace * trace / squares),
        margin: Some(mean(&margins)),
    }
}

fn assert_near(a: Option<f64>, b: Option<f64>, tolerance: f64) {
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a - b).abs() <= tolerance * b.abs(), "{a} {b}");
}

#[test]
fn statistics_agree_with_plain_loops() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (n, dim, classes, offset) in [(40, 3, 5, 0.0), (120, 17, 12, 0.0), (90, 8, 9, 1000.0)] {
        let labels: Vec<usize> = (0..n).map(|i| i * 7 % classes).collect();
        let values: Vec<f32> = (0..n * dim)
            .map(|at| random.random::<f32>() + labels[at / dim] as f32 * 0.1 + offset)
            .collect();
        let (measured, expected) = (
            statistics(&values, dim, &labels),
            by_loops(&values, dim, &labels),
        );
        // Distances are computed in f64 from f32 embeddings; means of classes are rounded to f32.
        let centres = 1e-6 * f64::from(offset.max(1.0));
        assert_near(measured.intra, expected.intra, 1e-12);
        assert_near(measured.inter, expected.inter, centres);
        assert_near(measured.margin, expected.margin, 1e-9);
        // Sums of products in f32.
        let products = 1e-5;
        assert_near(
            measured.effective_dimension,
            expected.effective_dimension,
            products,
        );
    }
}

#[test]
fn equal_embeddings_have_no_distances() {
    let measured = statistics(&[0.3; 12], 2, &[0, 0, 0, 1, 1, 1]);
    assert_eq!(measured.intra, Some(0.0));
    assert_eq!(measured.inter, Some(0.0));
    assert_eq!(measured.margin, Some(0.0));
    assert_eq!(measured.ratio(), None);
    assert_eq!(measured.effective_dimension, None);
}

#[test]
fn embeddings_on_a_line_have_one_dimension() {
    let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32]).collect();
    let labels: Vec<usize> = (0..20).map(|i| i / 5).collect();
    let dimension = statistics(&values, 2, &labels).effective_dimension;
    assert_near(dimension, Some(1.0), 1e-6);
}

#[test]
fn what_is_not_defined_is_none() {
    let one_class = statistics(&[0.0, 1.0, 3.0], 1, &[4, 4, 4]);
    assert_eq!((one_class.inter, one_class.margin), (None, None));
    assert_eq!(one_class.intra, Some(2.0));
    let single_images = statistics(&[0.0, 1.0, 3.0], 1, &[0, 1, 2]);
    assert_eq!((single_images.intra, single_images.margin), (None, None));
    assert_eq!(single_images.inter, Some(2.0));
    let none = statistics(&[], 3, &[]);
    let undefined = DistanceStatistics {
        intra: None,
        inter: None,
        effective_dimension: None,
        margin: None,
    };
    assert_eq!(none, undefined);
}

#[test]
fn rows_without_class_and_rows_that_are_not_finite_are_left_out() {
    let values = [0.0, 1.0, f32::NAN, 5.0, 7.0, 1e9];
    let embeddings = Tensor::<Flex, 2>::from_data(
        TensorData::new(values.to_vec(), [6, 1]),
        &Default::default(),
    );
    let has_class = |row: usize| row != 5;
    let labels = [0, 0, 0, 1, 1, 2];
    let measured =
        DistanceStatistics::measure(embeddings, &labels, None, has_class, Monitor::none());
    let expected = statistics(&[0.0, 1.0, 5.0, 7.0], 1, &[0, 0, 1, 1]);
    assert_eq!(measured.unwrap(), expected);
    assert_eq!(expected.intra, Some(1.5));
    assert_eq!(expected.inter, Some(5.5));
    // Margins 5 − 1, 4 − 1, 4 − 2 and 6 − 2.
    assert_eq!(expected.margin, Some(3.25));
}

#[test]
fn the_margin_is_that_of_queries_in_the_gallery() {
    let roles = [Role::Query, Role::Gallery, Role::Gallery, Role::Query];
    let embeddings = Tensor::<Flex, 2>::from_data(
        TensorData::new(vec![0.0_f32, 1.0, 3.0, 0.5], [4, 1]),
        &Default::default(),
    );
    let measured = DistanceStatistics::measure(
        embeddings,
        &[0, 0, 1, 1],
        Some(&roles),
        |_| true,
        Monitor::none(),
    );
    // 3 − 1 for the first, 0.5 − 2.5 for the last.
    assert_eq!(measured.unwrap().margin, Some(0.0));
}
