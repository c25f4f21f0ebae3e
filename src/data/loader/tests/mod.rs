//! Loaders of twelve coloured images.

mod broken_images;
mod image_files;
mod uploads;

use burn_flex::Flex;
use image::{Rgb, RgbImage};

use super::*;
use crate::cancellation::CancellationToken;
use crate::data::batches::ImageBatch;
use crate::data::config::{
    BatchConfig, BrokenImages, DataConfig, DatasetConfig, EvalResize, FolderConfig, HoldOutConfig,
    LoadingConfig, TransformConfig,
};
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::sampler::PairSampler;
use crate::data::split::Split;
use crate::data::transform::Transform;
use crate::data::upload::{ImageUpload, UploadMode};
use crate::progress::NoProgress;
use burn::data::dataloader::DataLoader;
use std::sync::Arc;

type B = Flex;

/// Twelve images of three classes. Each has its own colour and a left edge of 255. The images of
/// `broken` cannot be read.
struct Coloured {
    broken: Vec<usize>,
}

impl Images for Coloured {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        if self.broken.contains(&index) {
            return Err(ImageError::Truncated {
                path: format!("{index}.png").into(),
            });
        }
        Ok(RgbImage::from_fn(6, 6, |x, _| {
            Rgb([if x == 0 { 255 } else { 10 * index as u8 }; 3])
        }))
    }

    fn name(&self, index: usize) -> String {
        format!("{index}.png")
    }
}

fn split(broken: &[usize]) -> Arc<Split> {
    let names = ["a", "b", "c"].map(String::from).to_vec();
    let labels = (0..12).map(|i| i / 4).collect();
    Arc::new(Split::new(
        "train",
        names,
        labels,
        Arc::new(Coloured {
            broken: broken.to_vec(),
        }),
    ))
}

fn transform() -> Transform {
    let config = TransformConfig {
        image_size: 4,
        resize: 6,
        mean: [0.0; 3],
        std: [1.0 / 255.0; 3],
        ..Default::default()
    };
    Transform::new(&config).unwrap()
}

fn loading(workers: usize, prefetch: usize) -> LoadingConfig {
    LoadingConfig {
        workers,
        prefetch,
        ..Default::default()
    }
}

fn train_loader(first_epoch: usize, workers: usize) -> TrainLoader<B> {
    broken_train_loader(
        first_epoch,
        &loading(workers, 2),
        &[],
        LoaderErrors::default(),
    )
}

fn broken_train_loader(
    first_epoch: usize,
    loading: &LoadingConfig,
    broken: &[usize],
    errors: LoaderErrors,
) -> TrainLoader<B> {
    let mode = UploadMode::Normalized;
    uploading_train_loader(first_epoch, loading, broken, errors, mode)
}

fn uploading_train_loader(
    first_epoch: usize,
    loading: &LoadingConfig,
    broken: &[usize],
    errors: LoaderErrors,
    mode: UploadMode,
) -> TrainLoader<B> {
    let batch = BatchConfig {
        classes: 2,
        images_per_class: 2,
        ..Default::default()
    };
    // Six classes of two images: three batches an epoch.
    let labels: Vec<usize> = (0..12).map(|i| i / 2).collect();
    let names = (0..6).map(|label| label.to_string()).collect();
    let images = Arc::new(Coloured {
        broken: broken.to_vec(),
    });
    let sampler = PairSampler::new(&labels, &batch, 3).unwrap();
    TrainLoader::new(
        Arc::new(Split::new("train", names, labels, images)),
        sampler,
        transform(),
        first_epoch..9,
        loading,
        errors,
        upload(mode),
    )
}

fn upload(mode: UploadMode) -> ImageUpload<B> {
    ImageUpload {
        device: Default::default(),
        mode,
    }
}

fn split_loader(
    broken: Option<usize>,
    schedule: EpochSchedule,
    errors: LoaderErrors,
) -> SplitLoader<B> {
    let broken: Vec<usize> = broken.into_iter().collect();
    split_loader_of(&broken, &loading(2, 2), schedule, errors)
}

fn split_loader_of(
    broken: &[usize],
    loading: &LoadingConfig,
    schedule: EpochSchedule,
    errors: LoaderErrors,
) -> SplitLoader<B> {
    uploading_split_loader(broken, loading, schedule, errors, UploadMode::Normalized)
}

fn uploading_split_loader(
    broken: &[usize],
    loading: &LoadingConfig,
    schedule: EpochSchedule,
    errors: LoaderErrors,
    mode: UploadMode,
) -> SplitLoader<B> {
    SplitLoader::new(
        split(broken),
        transform(),
        5,
        schedule,
        loading,
        errors,
        upload(mode),
    )
}

/// The contents of an epoch: pixels, labels, epoch, last.
type Contents = Vec<(Vec<f32>, Vec<usize>, usize, bool)>;

fn contents(loader: &dyn DataLoader<B, ImageBatch<B>>) -> Contents {
    let batches = loader.iter().map(|batch| {
        (
            batch.images.into_data().into_vec().unwrap(),
            batch.labels,
            batch.epoch,
            batch.last,
        )
    });
    batches.collect()
}

#[test]
fn a_split_is_returned_completely_and_in_order_with_a_smaller_last_batch() {
    let loader = split_loader(None, EpochSchedule::Always, LoaderErrors::default());
    assert_eq!(loader.num_items(), 12);
    let mut batches = loader.iter();
    let batch = batches.next().unwrap();
    assert_eq!((batch.images.dims(), batch.labels.len()), ([5, 3, 4, 4], 5));
    assert_eq!((batch.epoch, batch.last), (1, false));
    assert_eq!(batch.indices, [0, 1, 2, 3, 4]);
    assert_eq!(batches.progress().items_processed, 5);
    assert_eq!(batches.progress().items_total, 12);
    drop(batches);

    let epoch = contents(&loader);
    let labels: Vec<usize> = epoch.iter().flat_map(|batch| batch.1.clone()).collect();
    assert_eq!(labels, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(
        epoch.iter().map(|batch| batch.3).collect::<Vec<_>>(),
        [false, false, true]
    );
    for (i, image) in epoch
        .iter()
        .flat_map(|batch| batch.0.chunks(48))
        .enumerate()
    {
        assert!(
            (image[3] - 10.0 * i as f32).abs() < 0.01,
            "right edge of image {i}"
        );
    }
}

#[test]
fn validation_returns_every_nth_epoch_and_the_last() {
    let schedule = EpochSchedule::Every {
        interval: 3,
        first_epoch: 2,
        last_epoch: 7,
    };
    let loader = split_loader(None, schedule, LoaderErrors::default());
    let given: Vec<usize> = (2..=7).map(|_| contents(&loader).len()).collect();
    assert_eq!(given, [0, 3, 0, 0, 3, 3]);
}

#[test]
fn training_batches_do_not_depend_on_workers_or_earlier_epochs() {
    let unbroken = train_loader(1, 1);
    let first = contents(&unbroken);
    let second = contents(&unbroken);
    let third = contents(&unbroken);
    assert_eq!(first.len(), 3);
    assert_eq!(third[2].2, 3);
    assert_ne!(first[0].0, second[0].0);
    assert_eq!(contents(&train_loader(3, 4)), third, "resumed at epoch 3");
}

#[test]
fn loaders_of_two_devices_count_epochs_together() {
    let loader = train_loader(4, 2);
    let moved = loader.to_device(&Default::default());
    assert_eq!(contents(&loader)[0].2, 4);
    assert_eq!(contents(&*moved)[0].2, 5);
}

#[test]
fn slices_contain_the_batches_of_the_whole_loader() {
    let whole = contents(&train_loader(1, 2));
    let loader = train_loader(1, 2);
    let (left, right) = (loader.slice(0, 6), loader.slice(6, 12));
    assert_eq!(left.num_items() + right.num_items(), 12);
    let parts = [contents(&*left), contents(&*right)].concat();
    for (part, batch) in parts.iter().zip(&whole) {
        assert_eq!((&part.0, &part.1, part.2), (&batch.0, &batch.1, batch.2));
    }
    let split = split_loader(None, EpochSchedule::Always, LoaderErrors::default());
    assert_eq!(split.slice(3, 9).slice(2, 6).num_items(), 4);
}

#[test]
fn workers_continue_with_the_next_epoch_after_an_epoch_is_left_early() {
    let whole = train_loader(1, 2);
    let epochs: Vec<Contents> = (0..3).map(|_| contents(&whole)).collect();
    let loader = train_loader(1, 2);
    let mut first = loader.iter();
    first.next();
    drop(first);
    assert_eq!(contents(&loader), epochs[1]);
    assert_eq!(contents(&loader), epochs[2]);
}

#[test]
fn dropping_a_loader_ends_its_workers() {
    let loader = train_loader(1, 3);
    let split = loader.split_for_test();
    loader.iter().next();
    assert!(Arc::strong_count(&split) > 2, "the workers hold the split");
    drop(loader);
    assert_eq!(Arc::strong_count(&split), 1);
}
