//! Loaders of image files in a folder, with and without a cache.

use super::*;
use crate::data::HoldOut;

/// A folder of JPEG and PNG images, some large enough to be decoded at a reduced size.
fn image_folder() -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    for (side, class, image) in (0..32).map(|i| (i / 16, i / 4, i % 4)) {
        let side = folder.path().join(["train", "test"][side]);
        let class = side.join(format!("class-{class}"));
        std::fs::create_dir_all(&class).unwrap();
        let (width, height) = (30 + 40 * image as u32, 25 + 30 * image as u32);
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 5) as u8, (y * 7) as u8, (x * y / 9) as u8])
        })
        .save(class.join(format!("{image}.{}", ["jpg", "png"][image % 2])))
        .unwrap();
    }
    folder
}

/// Loads two epochs of training, the validation split if there is one, and the test split.
fn all_bytes(data: &DataConfig, hold_out: Option<HoldOut>, mode: UploadMode) -> Vec<Contents> {
    let transform = Transform::new(&data.transform).unwrap();
    let cancellation = CancellationToken::new();
    let splits = crate::data::open(data, hold_out, &transform, &cancellation, &NoProgress).unwrap();
    let batch = BatchConfig {
        classes: 2,
        images_per_class: 4,
        ..Default::default()
    };
    let sampler = PairSampler::new(splits.train.labels(), &batch, 3).unwrap();
    let train = TrainLoader::<B>::new(
        Arc::new(splits.train),
        sampler,
        transform.clone(),
        1..3,
        &data.loading,
        LoaderErrors::default(),
        upload(mode),
    );
    let mut all = vec![contents(&train), contents(&train)];
    for split in splits.validation.into_iter().chain([splits.test]) {
        all.push(contents(&SplitLoader::<B>::new(
            Arc::new(split),
            transform.clone(),
            6,
            EpochSchedule::Always,
            &data.loading,
            LoaderErrors::default(),
            upload(mode),
        )));
    }
    all
}

#[test]
fn seed_and_epoch_determine_the_images_for_any_workers_cache_and_upload() {
    let folder = image_folder();
    let published = TransformConfig {
        image_size: 16,
        resize: 20,
        ..Default::default()
    };
    let augmented = TransformConfig {
        crop_probability: 0.8,
        crop_scale: Some([0.2, 1.0]),
        brightness: 0.3,
        contrast: 0.2,
        saturation: 0.3,
        hue: 0.1,
        grey_probability: 0.2,
        blur_probability: 0.5,
        erase_probability: 0.5,
        eval_resize: EvalResize::CenterCrop,
        ..published.clone()
    };
    for transform in [published, augmented] {
        let data = |workers, cache| DataConfig {
            source: DatasetConfig::Folder(FolderConfig {
                root: folder.path().into(),
                ..Default::default()
            }),
            hold_out: HoldOutConfig::default(),
            transform: transform.clone(),
            loading: LoadingConfig {
                cache,
                cache_dir: Some(folder.path().join(".cache")),
                ..loading(workers, 2)
            },
        };
        for hold_out in [None, Some(HoldOut { batch_classes: 2 })] {
            let expected = all_bytes(&data(1, false), hold_out, UploadMode::Normalized);
            assert_eq!(expected.len(), if hold_out.is_some() { 4 } else { 3 });
            assert_ne!(expected[0], expected[1]);
            for (workers, cache, mode) in [
                (2, false, UploadMode::Normalized),
                (8, false, UploadMode::BytesAhead),
                (1, true, UploadMode::Bytes),
                (2, true, UploadMode::Normalized),
                (8, true, UploadMode::BytesAhead),
            ] {
                assert!(
                    all_bytes(&data(workers, cache), hold_out, mode) == expected,
                    "{workers} workers, cache {cache}, {hold_out:?}, {mode:?}"
                );
            }
        }
    }
}
