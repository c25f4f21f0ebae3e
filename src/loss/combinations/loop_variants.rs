//! The variants of LoOp against the oracle, and against each other where they agree.

use super::*;

/// Classes with an odd and an even number of images.
const BATCHES: [(usize, usize); 3] = [(3, 3), (2, 4), (3, 2)];

/// The variants that apply to classes of `images`.
fn variants(images: usize) -> impl Iterator<Item = (Negatives, Space)> {
    let applies = move |strategy: &Negatives| match strategy {
        Negatives::Loop(variant) => variant.pairs == LoopPairs::All || images.is_multiple_of(2),
        _ => false,
    };
    all_strategies().filter(move |(strategy, _)| VARIANTS.contains(strategy) && applies(strategy))
}

/// The strategy with the number of images of every class.
fn with_images_per_class(strategy: Negatives, images: usize) -> Negatives {
    let Negatives::Loop(variant) = strategy else {
        unreachable!("a variant of LoOp");
    };
    Negatives::Loop(LoopNegatives {
        images_per_class: Some(images),
        ..variant
    })
}

#[test]
fn losses_and_counts_agree_with_the_formulas() {
    for (classes, images) in BATCHES {
        let (rows, labels) = batch(classes, images, 8, 3);
        for (strategy, space) in variants(images) {
            let anchors = oracle_anchors(strategy, space, &widened(&rows), &labels);
            for loss in losses() {
                let case = format!("{classes} x {images}, {strategy:?}, {space:?}, {loss:?}");
                let anchors = &anchors[usize::from(loss.measure() == Measure::InnerProduct)];
                let of_anchor = |i| oracle::loss(&loss, anchors, i);
                let expected: Vec<f64> = (0..anchors.len()).map(of_anchor).collect();
                let rows = tensor::<TestBackend>(&rows);
                let output = output(&loss, strategy, space, rows, &labels);
                let actual = values(output.losses.clone());
                assert_eq!(actual.len(), expected.len(), "{case}");
                // As for the published strategies.
                let scale = expected.iter().copied().fold(1.0, f64::max);
                for (actual, expected) in actual.iter().zip(&expected) {
                    assert!(
                        (actual - expected).abs() <= 1e-5 * scale,
                        "{case}: {actual} instead of {expected}"
                    );
                }
                let statistics = statistics(&output);
                assert_eq!(statistics.anchors, expected.len(), "{case}");
                if let Loss::NPair(_) = loss {
                    let comparisons = comparisons_per_anchor(strategy, &labels) - 1;
                    assert_eq!(statistics.mined, actual.len() * comparisons, "{case}");
                }
            }
        }
    }
}

/// Computes the anchors for distances and for inner products.
fn oracle_anchors(
    strategy: Negatives,
    space: Space,
    rows: &[Vec<f64>],
    labels: &[i64],
) -> [Vec<oracle::Anchor>; 2] {
    let rows: Vec<Vec<f64>> = match space {
        Space::Sphere => rows.iter().map(|row| unit(row)).collect(),
        Space::Euclidean => rows.to_vec(),
    };
    [Measure::Distance, Measure::InnerProduct]
        .map(|measure| oracle::anchors(strategy, &rows, labels, space, measure))
}

#[test]
fn gradients_agree_with_central_differences_of_the_formulas() {
    const STEP: f64 = 1e-5;
    let (classes, images, dim) = (2, 3, 3);
    let (rows, labels) = batch(classes, images, dim, 5);
    let wide = widened(&rows);
    // Consecutive pairs need an even number of images.
    let consecutive = batch(2, 2, dim, 6);
    for (strategy, space) in all_strategies().filter(|(strategy, _)| VARIANTS.contains(strategy)) {
        let is_consecutive = matches!(
            strategy,
            Negatives::Loop(variant) if variant.pairs == LoopPairs::Consecutive
        );
        let (rows, labels, wide) = match is_consecutive {
            true => (&consecutive.0, &consecutive.1, widened(&consecutive.0)),
            false => (&rows, &labels, wide.clone()),
        };
        // The mean of every loss, for rows with one number changed.
        let means = |row: usize, k: usize, step: f64| -> Vec<f64> {
            let mut moved = wide.clone();
            moved[row][k] += step;
            let anchors = oracle_anchors(strategy, space, &moved, labels);
            let mean = |loss: &Loss| {
                let anchors = &anchors[usize::from(loss.measure() == Measure::InnerProduct)];
                let losses = (0..anchors.len()).map(|i| oracle::loss(loss, anchors, i));
                losses.sum::<f64>() / anchors.len() as f64
            };
            losses().iter().map(mean).collect()
        };
        let mut expected = vec![Vec::new(); losses().len()];
        for (row, k) in (0..wide.len()).flat_map(|row| (0..dim).map(move |k| (row, k))) {
            let [above, below] = [STEP, -STEP].map(|step| means(row, k, step));
            for (gradient, (above, below)) in expected.iter_mut().zip(above.iter().zip(&below)) {
                gradient.push((above - below) / (2.0 * STEP));
            }
        }
        for (loss, expected) in losses().iter().zip(&expected) {
            let (_, gradient, _) = mean_and_gradient(loss, strategy, space, rows, labels);
            let length = dot(expected, expected).sqrt();
            let error = point_distance(&gradient, expected);
            assert!(
                error <= 1e-3 * length.max(1e-3),
                "{strategy:?}, {space:?}, {loss:?}: {error} of {length}"
            );
        }
    }
}

#[test]
fn a_given_number_of_images_per_class_changes_nothing() {
    for (classes, images) in BATCHES {
        let (rows, labels) = batch(classes, images, 8, 3);
        for (strategy, space) in variants(images) {
            let given = with_images_per_class(strategy, images);
            for loss in losses() {
                let of = |strategy| mean_and_gradient(&loss, strategy, space, &rows, &labels);
                let ((mean, gradient, read), (of_given, gradient_of_given, statistics)) =
                    (of(strategy), of(given));
                assert_eq!(
                    (mean, &gradient),
                    (of_given, &gradient_of_given),
                    "{given:?}, {loss:?}"
                );
                assert_eq!(read, statistics);
            }
        }
    }
}

#[test]
fn all_pairs_of_classes_of_two_images_are_the_published_pairs() {
    let (rows, labels) = batch(4, 2, 8, 3);
    let all = variant(LoopPairs::All, LoopAnchors::Pairs);
    for space in SPACES {
        for loss in losses() {
            let of = |strategy| mean_and_gradient(&loss, strategy, space, &rows, &labels);
            let ((mean, gradient, _), (published, gradient_of_published, _)) =
                (of(all), of(Negatives::Loop(LoopNegatives::PUBLISHED)));
            assert!(
                (mean - published).abs() <= 1e-6 * published.max(1.0),
                "{space:?}, {loss:?}"
            );
            let length = dot(&gradient_of_published, &gradient_of_published).sqrt();
            let error = point_distance(&gradient, &gradient_of_published);
            assert!(
                error <= 1e-5 * length.max(1e-3),
                "{space:?}, {loss:?}: {error} of {length}"
            );
        }
    }
}

#[test]
fn classes_of_different_sizes_in_any_order_have_all_their_pairs() {
    let rows = Kind::Random.rows(4, 8, 1);
    let labels = [5, 9, 5, 7, 9, 5, 7, 4];
    let counted = |anchors| {
        let config = HphnTripletLossConfig::new().init();
        let strategy = variant(LoopPairs::All, anchors);
        let rows = tensor::<TestBackend>(&rows);
        let output = output(
            &Loss::HphnTriplet(config),
            strategy,
            Space::Sphere,
            rows,
            &labels,
        );
        statistics(&output).anchors
    };
    assert_eq!(counted(LoopAnchors::Pairs), 3 + 1 + 1);
    // The image of class 4 has no positive.
    assert_eq!(counted(LoopAnchors::Images), 7);
    assert_eq!(counted(LoopAnchors::Points), 7);
}

#[test]
fn image_without_a_curve_is_not_a_negative() {
    // The nearest image of all is the only one of its class.
    let rows = vec![
        vec![1.0, 0.0],
        vec![0.96, 0.28],
        vec![-1.0, 0.0],
        vec![-0.96, 0.28],
        vec![0.999, 0.0447],
    ];
    let labels = [0, 0, 1, 1, 2];
    for anchors in [LoopAnchors::Images, LoopAnchors::Points] {
        let strategy = variant(LoopPairs::All, anchors);
        let config = HphnTripletLossConfig::new().init();
        let rows = tensor::<TestBackend>(&rows);
        let output = output(
            &Loss::HphnTriplet(config),
            strategy,
            Space::Sphere,
            rows,
            &labels,
        );
        let negatives = values(output.negative);
        assert!(
            negatives[..4].iter().all(|&distance| distance > 1.0),
            "{negatives:?}"
        );
    }
}

#[test]
#[should_panic(expected = "groups of 3 rows do not divide a batch of 4")]
fn batches_of_other_classes_than_stated_are_refused() {
    let (rows, labels) = batch(2, 2, 8, 3);
    let strategy = with_images_per_class(variant(LoopPairs::All, LoopAnchors::Images), 3);
    let loss = Loss::HphnTriplet(HphnTripletLossConfig::new().init());
    output(
        &loss,
        strategy,
        Space::Sphere,
        tensor::<TestBackend>(&rows),
        &labels,
    );
}
