//! Batches without valid pairs, with identical or opposite images, and with large embeddings.

use burn::tensor::Tensor;

use super::*;

/// Asserts that no anchor is counted, and that the mean and its gradient are 0.
fn assert_no_anchor(rows: &Rows, labels: &[i64]) {
    for (strategy, space) in all_strategies() {
        for loss in losses() {
            let (mean, gradient, statistics) =
                mean_and_gradient(&loss, strategy, space, rows, labels);
            let LossStatistics {
                anchors,
                active,
                mined,
                ..
            } = statistics;
            assert_eq!(
                (mean, anchors, active, mined),
                (0.0, 0, 0, 0),
                "{strategy:?}, {loss:?}"
            );
            assert_eq!(
                (statistics.mean_positive, statistics.mean_negative),
                (0.0, 0.0),
                "{strategy:?}, {loss:?}"
            );
            assert!(
                gradient.iter().all(|&x| x == 0.0),
                "{strategy:?}, {space:?}, {loss:?}: {gradient:?}"
            );
        }
    }
}

#[test]
fn batch_of_one_class_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(3, 8, 1), &[4; 6]);
}

#[test]
fn batch_of_single_images_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(3, 8, 1), &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn batch_of_one_pair_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(1, 8, 1), &[0, 0]);
}

#[test]
fn anchor_without_positive_is_not_counted() {
    let rows = Kind::Random.rows(2, 8, 1);
    let rows = tensor::<TestBackend>(&rows);
    for loss in losses() {
        let output = output(
            &loss,
            Negatives::None,
            Space::Sphere,
            rows.clone(),
            &[0, 0, 1, 2],
        );
        let counted: Vec<bool> = output.counted.into_data().iter::<bool>().collect();
        assert_eq!(counted, [true, true, false, false], "{loss:?}");
        assert_eq!(values(output.losses)[2..], [0.0, 0.0], "{loss:?}");
    }
}

#[test]
fn gradients_are_finite_for_batches_of_every_kind() {
    let labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
    for kind in Kind::ALL {
        let rows = kind.rows(8, 16, 4);
        for (strategy, space) in all_strategies() {
            for loss in losses() {
                let (mean, gradient, _) = mean_and_gradient(&loss, strategy, space, &rows, &labels);
                let case = format!("{kind:?}, {strategy:?}, {space:?}, {loss:?}");
                assert!(mean.is_finite(), "{case}: {mean}");
                assert!(gradient.iter().all(|x| x.is_finite()), "{case}");
            }
        }
    }
}

#[test]
fn large_embeddings_neither_overflow_nor_lose_their_gradient() {
    let rows: Rows = Kind::Random
        .rows(4, 8, 6)
        .into_iter()
        .map(|row| row.into_iter().map(|x| 300.0 * x).collect())
        .collect();
    for strategy in STRATEGIES.into_iter().chain(VARIANTS) {
        for loss in losses() {
            let labels = [0, 0, 1, 1, 2, 2, 3, 3];
            let (mean, gradient, _) =
                mean_and_gradient(&loss, strategy, Space::Euclidean, &rows, &labels);
            assert!(mean.is_finite(), "{strategy:?}, {loss:?}: {mean}");
            assert!(
                gradient.iter().all(|x| x.is_finite()),
                "{strategy:?}, {loss:?}"
            );
        }
    }
}

#[test]
fn identical_images_of_all_classes_cost_the_margin_with_gradient_zero() {
    let rows = vec![Kind::Random.rows(1, 64, 1)[0].clone(); 4];
    let loss = Loss::HphnTriplet(HphnTripletLossConfig::new().with_margin(0.2).init());
    for (strategy, space) in all_strategies() {
        let labels = [0, 0, 1, 1];
        let (mean, gradient, statistics) =
            mean_and_gradient(&loss, strategy, space, &rows, &labels);
        assert!((mean - 0.2).abs() < 1e-6);
        assert_eq!(statistics.active, statistics.anchors);
        assert!(
            gradient.iter().all(|&x| x == 0.0),
            "{strategy:?}, {space:?}"
        );
    }
}

#[test]
fn contrastive_loss_of_identical_images_is_that_of_the_negative_margin() {
    // d⁺ = d⁻ = 0: ½ m⁻² = 0.5.
    let rows = vec![Kind::Random.rows(1, 64, 1)[0].clone(); 4];
    let loss = Loss::Contrastive(ContrastiveLossConfig::new().init());
    for (strategy, space) in all_strategies() {
        let labels = [0, 0, 1, 1];
        let (mean, gradient, statistics) =
            mean_and_gradient(&loss, strategy, space, &rows, &labels);
        assert!((mean - 0.5).abs() < 1e-6);
        assert_eq!(statistics.active, statistics.anchors);
        assert!(
            gradient.iter().all(|&x| x == 0.0),
            "{strategy:?}, {space:?}"
        );
    }
}

#[test]
fn contrastive_loss_of_antipodal_classes_is_zero() {
    let row = Kind::Random.rows(1, 64, 1)[0].clone();
    let opposite: Vec<f32> = row.iter().map(|x| -x).collect();
    let rows = vec![row.clone(), row, opposite.clone(), opposite];
    let loss = Loss::Contrastive(ContrastiveLossConfig::new().init());
    for (strategy, space) in all_strategies() {
        let labels = [0, 0, 1, 1];
        let (mean, gradient, statistics) =
            mean_and_gradient(&loss, strategy, space, &rows, &labels);
        assert_eq!((mean, statistics.active, statistics.mined), (0.0, 0, 0));
        assert!(
            gradient.iter().all(|&x| x == 0.0),
            "{strategy:?}, {space:?}"
        );
    }
}

#[test]
#[should_panic(expected = "different measures")]
fn comparisons_of_another_measure_are_refused() {
    let rows = tensor::<TestBackend>(&Kind::Random.rows(2, 8, 1));
    let labels = Tensor::from_data([0, 0, 1, 1], &Default::default());
    let comparisons = Negatives::None.compare(rows, labels, Space::Sphere, Measure::Distance);
    NPairLossConfig::new().init().forward(comparisons);
}
