//! Loaders that upload bytes, in this thread and a batch ahead in another.

use std::thread;

use super::*;

const MODES: [UploadMode; 2] = [UploadMode::Bytes, UploadMode::BytesAhead];

fn train_loader_in(mode: UploadMode) -> TrainLoader<B> {
    uploading_train_loader(1, &loading(3, 2), &[], LoaderErrors::default(), mode)
}

fn split_loader_in(mode: UploadMode, broken: &[usize]) -> (SplitLoader<B>, LoaderErrors) {
    let errors = LoaderErrors::default();
    let schedule = EpochSchedule::Always;
    let loader = uploading_split_loader(broken, &loading(2, 2), schedule, errors.clone(), mode);
    (loader, errors)
}

#[test]
fn batches_are_those_that_the_host_normalises() {
    for mode in MODES {
        let (expected, loader) = (train_loader(1, 2), train_loader_in(mode));
        for _ in 0..3 {
            assert_eq!(contents(&loader), contents(&expected), "{mode:?}");
        }
        let expected = split_loader(None, EpochSchedule::Always, LoaderErrors::default());
        let (loader, _) = split_loader_in(mode, &[]);
        assert_eq!(contents(&loader), contents(&expected), "{mode:?}");
    }
}

#[test]
fn the_next_epoch_follows_one_that_is_left_early() {
    for mode in MODES {
        let (whole, loader) = (train_loader(1, 2), train_loader_in(mode));
        contents(&whole);
        loader.iter().next();
        assert_eq!(contents(&loader), contents(&whole), "{mode:?}");
    }
}

#[test]
fn another_thread_can_take_over() {
    let (whole, loader) = (train_loader(1, 2), train_loader_in(UploadMode::BytesAhead));
    let first = contents(&loader);
    let second = thread::scope(|scope| scope.spawn(|| contents(&loader)).join().unwrap());
    assert_eq!([first, second], [contents(&whole), contents(&whole)]);
}

#[test]
fn a_broken_image_ends_the_batches() {
    for mode in MODES {
        let (loader, errors) = split_loader_in(mode, &[7]);
        let epoch = contents(&loader);
        assert_eq!(epoch.len(), 1, "{mode:?}");
        assert!(!epoch[0].3);
        assert!(errors.take().unwrap().to_string().contains("7.png"));
    }
}

#[test]
fn batches_without_a_readable_image_are_left_out() {
    for mode in MODES {
        let errors = LoaderErrors::default();
        let skipping = LoadingConfig {
            broken_images: BrokenImages::Skip,
            ..loading(2, 2)
        };
        let schedule = EpochSchedule::Always;
        let broken = [0, 1, 2, 3, 4, 11];
        let loader = uploading_split_loader(&broken, &skipping, schedule, errors, mode);
        let batches = contents(&loader);
        let batches: Vec<_> = batches
            .iter()
            .map(|batch| (batch.1.len(), batch.3))
            .collect();
        assert_eq!(batches, [(5, false), (1, true)], "{mode:?}");
    }
}

#[test]
fn dropping_a_loader_ends_its_threads() {
    for mode in MODES {
        let loader = train_loader_in(mode);
        let split = loader.split_for_test();
        loader.iter().next();
        assert!(Arc::strong_count(&split) > 2, "the workers hold the split");
        drop(loader);
        assert_eq!(Arc::strong_count(&split), 1, "{mode:?}");
    }
}
