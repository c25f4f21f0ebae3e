//! Loaders of images of which some cannot be read.

use super::*;

#[test]
fn a_broken_image_ends_the_batches_and_its_error_is_stored() {
    let errors = LoaderErrors::default();
    let loader = split_loader(Some(7), EpochSchedule::Always, errors.clone());
    let epoch = contents(&loader);
    assert_eq!(epoch.len(), 1);
    assert!(!epoch[0].3);
    assert!(errors.take().unwrap().to_string().contains("7.png"));
    assert!(errors.take().is_none());
}

fn skipping() -> LoadingConfig {
    LoadingConfig {
        broken_images: BrokenImages::Skip,
        ..loading(2, 2)
    }
}

#[test]
fn a_skipped_image_is_left_out_of_a_split_and_named() {
    let errors = LoaderErrors::default();
    let loader = split_loader_of(&[7, 3], &skipping(), EpochSchedule::Always, errors.clone());
    let batches: Vec<_> = loader.iter().collect();
    let indices: Vec<_> = batches.iter().map(|batch| batch.indices.clone()).collect();
    assert_eq!(indices, [vec![0, 1, 2, 4], vec![5, 6, 8, 9], vec![10, 11]]);
    assert_eq!(batches[0].images.dims(), [4, 3, 4, 4]);
    assert!(batches[2].last && !batches[1].last);
    assert!(errors.take().is_none());
    let skipped = errors.skipped();
    assert_eq!(skipped.len(), 2);
    assert!(skipped[0].contains("3.png") && skipped[1].contains("7.png"));
}

#[test]
fn the_last_batch_with_images_is_marked_as_last() {
    let loader = |broken: &[usize]| {
        let errors = LoaderErrors::default();
        let loader = split_loader_of(broken, &skipping(), EpochSchedule::Always, errors);
        contents(&loader)
            .iter()
            .map(|batch| (batch.1.len(), batch.3))
            .collect::<Vec<_>>()
    };
    assert_eq!(loader(&[10, 11]), [(5, false), (5, true)]);
    assert_eq!(loader(&[0, 1, 2, 3, 4]), [(5, false), (2, true)]);
    assert!(loader(&(0..12).collect::<Vec<_>>()).is_empty());
}

#[test]
fn a_broken_training_image_is_replaced_by_another_of_its_class() {
    let errors = LoaderErrors::default();
    let loader = broken_train_loader(1, &skipping(), &[4, 9], errors.clone());
    for epoch in 1..=6 {
        let batches: Vec<_> = loader.iter().collect();
        assert_eq!(batches.len(), 3, "batches of epoch {epoch}");
        for batch in batches {
            assert_eq!(batch.images.dims(), [4, 3, 4, 4]);
            assert!(batch.indices.iter().all(|index| ![4, 9].contains(index)));
            let classes: Vec<usize> = batch.indices.iter().map(|index| index / 2).collect();
            assert!(
                classes[0] == classes[1] && classes[2] == classes[3] && classes[0] != classes[2]
            );
        }
    }
    assert!(errors.take().is_none());
    assert_eq!(errors.skipped().len(), 2);
}

#[test]
fn a_class_without_readable_images_is_named() {
    let errors = LoaderErrors::default();
    let loader = broken_train_loader(1, &skipping(), &[4, 5], errors.clone());
    for _ in 0..4 {
        loader.iter().for_each(drop);
    }
    let error = errors.take().unwrap().to_string();
    assert!(error.contains("no image of class 2 can be read"), "{error}");
}

#[test]
fn every_epoch_after_a_failure_fails() {
    let errors = LoaderErrors::default();
    let broken: Vec<usize> = (0..12).collect();
    let loader = broken_train_loader(1, &loading(2, 2), &broken, errors.clone());
    for epoch in 1..=4 {
        assert_eq!(loader.iter().count(), 0);
        assert!(errors.take().is_some(), "epoch {epoch}");
    }
}
