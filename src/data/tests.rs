//! Opening a dataset: errors, skipped images and warnings.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::cancellation::CancellationToken;
use crate::data::config::{
    DatasetConfig, FolderConfig, HoldOutConfig, LoadingConfig, ManifestConfig,
};
use crate::evaluation::Role;
use crate::progress::NoProgress;

fn draw(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(9, 7, Rgb([name.len() as u8; 3]))
        .save(path)
        .unwrap();
}

fn folder_of(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in names {
        draw(folder.path(), name);
    }
    folder
}

fn open_source(source: DatasetConfig, loading: LoadingConfig) -> Result<Splits, DataError> {
    let config = DataConfig {
        source,
        loading,
        ..Default::default()
    };
    let transform = Transform::new(&config.transform).unwrap();
    open(
        &config,
        None,
        &transform,
        &CancellationToken::new(),
        &NoProgress,
    )
}

fn open_folder(folder: &TempDir, keys: FolderConfig) -> Result<Splits, DataError> {
    let keys = FolderConfig {
        root: folder.path().into(),
        ..keys
    };
    open_source(DatasetConfig::Folder(keys), LoadingConfig::default())
}

fn refusal(folder: &TempDir) -> String {
    open_folder(folder, FolderConfig::default())
        .unwrap_err()
        .to_string()
}

fn skipping(folder: &TempDir) -> Result<Splits, DataError> {
    let keys = FolderConfig {
        root: folder.path().into(),
        ..Default::default()
    };
    let loading = LoadingConfig {
        broken_images: BrokenImages::Skip,
        ..Default::default()
    };
    open_source(DatasetConfig::Folder(keys), loading)
}

const FOUR_CLASSES: [&str; 12] = [
    "b/1.png", "b/0.jpg", "b/2.png", "a/0.png", "a/1.jpeg", "a/2.png", "d/1.png", "d/0.png",
    "d/2.png", "c/0.jpg", "c/1.jpg", "c/2.jpg",
];

#[test]
fn a_folder_opens_with_labelled_images() {
    let folder = folder_of(&FOUR_CLASSES);
    let splits = open_folder(&folder, FolderConfig::default()).unwrap();
    assert_eq!(splits.train.class_names(), ["a", "b"]);
    assert_eq!(splits.test.labels(), [0, 0, 0, 1, 1, 1]);
    assert_eq!(splits.train.image_name(3), "b/0.jpg");
    assert_eq!(splits.test.image(3).unwrap().dimensions(), (9, 7));
    assert!(splits.warnings.is_empty());
}

#[test]
fn truncated_and_foreign_files_are_refused_and_counted() {
    let folder = folder_of(&FOUR_CLASSES);
    let path = folder.path().join("c/1.jpg");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = refusal(&folder);
    assert!(message.contains("c/1.jpg is truncated"), "{message}");
    fs::write(&path, "<html>").unwrap();
    fs::write(folder.path().join("c/2.jpg"), "").unwrap();
    let message = refusal(&folder);
    assert!(message.contains("c/1.jpg is an HTML page"), "{message}");
    assert!(message.contains("and 1 more problem(s)"), "{message}");
}

#[test]
fn skipped_images_are_left_out_and_named() {
    let folder = folder_of(&FOUR_CLASSES);
    fs::write(folder.path().join("c/1.jpg"), "<html>").unwrap();
    let splits = skipping(&folder).unwrap();
    assert_eq!(splits.test.labels(), [0, 0, 1, 1, 1]);
    assert_eq!(splits.test.image_name(1), "c/2.jpg");
    let skipped = splits.test.skipped();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].to_string().contains("c/1.jpg"));
}

#[test]
fn a_class_with_one_image_after_skipping_is_named() {
    let folder = folder_of(&FOUR_CLASSES);
    for name in ["a/0.png", "a/2.png"] {
        fs::write(folder.path().join(name), "<html>").unwrap();
    }
    let message = skipping(&folder).unwrap_err().to_string();
    assert!(
        message.contains("class a of the training split has 1 image(s)"),
        "{message}"
    );
}

#[test]
fn the_policy_for_single_images_applies_after_skipping() {
    let folder = folder_of(&FOUR_CLASSES);
    for name in ["a/0.png", "a/2.png", "c/0.jpg", "c/1.jpg"] {
        fs::write(folder.path().join(name), "<html>").unwrap();
    }
    let open_with = |policy| {
        let keys = FolderConfig {
            root: folder.path().into(),
            single_image_classes: policy,
            ..Default::default()
        };
        let loading = LoadingConfig {
            broken_images: BrokenImages::Skip,
            ..Default::default()
        };
        open_source(DatasetConfig::Folder(keys), loading)
    };
    let repeated = open_with(SingleImageClasses::Repeat).unwrap();
    assert_eq!(repeated.train.class_names(), ["a", "b"]);
    assert_eq!(repeated.test.roles().unwrap()[0], Role::Gallery);
    let message = open_with(SingleImageClasses::Drop).unwrap_err().to_string();
    assert!(
        message.contains("the training split has 1 class(es)"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn broken_links_are_named() {
    let folder = folder_of(&FOUR_CLASSES);
    for link in ["c/dead.jpg", "dead-class"] {
        std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join(link)).unwrap();
    }
    let message = refusal(&folder);
    assert!(
        message.contains("c/dead.jpg is neither a file nor a folder"),
        "{message}"
    );
    assert!(message.contains("and 1 more problem(s)"), "{message}");
}

#[test]
fn an_image_with_extreme_aspect_is_refused() {
    let folder = folder_of(&FOUR_CLASSES);
    RgbImage::new(3000, 1)
        .save(folder.path().join("c/line.png"))
        .unwrap();
    let message = refusal(&folder);
    assert!(
        message.contains("line.png has 3000 x 1 pixels"),
        "{message}"
    );
}

#[test]
fn one_training_class_is_refused() {
    let folder = folder_of(&[
        "train/a/0.png",
        "train/a/1.png",
        "test/b/0.png",
        "test/b/1.png",
        "test/c/0.png",
        "test/c/1.png",
    ]);
    let message = refusal(&folder);
    assert!(
        message.contains("the training split has 1 class(es)"),
        "{message}"
    );
}

#[test]
fn classes_of_one_image_follow_the_policy() {
    let mut names = FOUR_CLASSES.to_vec();
    names.extend(["aa/0.png", "e/0.png"]);
    let folder = folder_of(&names);
    let message = refusal(&folder);
    assert!(message.contains("data.single_image_classes"), "{message}");
    let open_with = |policy| {
        let keys = FolderConfig {
            single_image_classes: policy,
            ..Default::default()
        };
        open_folder(&folder, keys).unwrap()
    };
    // Six classes: training classes a, aa, b and test classes c, d, e.
    let dropped = open_with(SingleImageClasses::Drop);
    assert_eq!(dropped.train.class_names(), ["a", "b"]);
    assert_eq!(dropped.test.class_names(), ["c", "d"]);
    assert!(dropped.test.roles().is_none());
    let gallery = open_with(SingleImageClasses::Gallery);
    assert_eq!(gallery.train.class_names(), ["a", "b"]);
    assert_eq!(gallery.test.roles().unwrap()[6], Role::Gallery);
    let repeated = open_with(SingleImageClasses::Repeat);
    assert_eq!(repeated.train.class_names(), ["a", "aa", "b"]);
    assert_eq!(repeated.test.roles().unwrap()[6], Role::Gallery);
}

#[test]
fn a_manifest_has_queries_and_gallery_and_needs_a_query_with_a_gallery_image() {
    let folder = folder_of(&FOUR_CLASSES);
    let manifest = folder.path().join("list.csv");
    let write = |gallery_of_c: &str| {
        let rows = [
            "path,label,split,query,gallery",
            "a/0.png,a,train,,",
            "a/1.jpeg,a,train,,",
            "b/0.jpg,b,train,,",
            "b/1.png,b,train,,",
            "c/0.jpg,c,test,1,0",
            &format!("c/1.jpg,{gallery_of_c},test,0,1"),
            "d/0.png,d,test,0,1",
        ];
        fs::write(&manifest, rows.join("\n")).unwrap();
        let keys = ManifestConfig {
            root: manifest.clone(),
            ..Default::default()
        };
        open_source(DatasetConfig::Manifest(keys), LoadingConfig::default())
    };
    let splits = write("c").unwrap();
    let roles = [Role::Query, Role::Gallery, Role::Gallery];
    assert_eq!(splits.test.roles().unwrap(), roles);
    let message = write("d").unwrap_err().to_string();
    assert!(
        message.contains("no query with a gallery image"),
        "{message}"
    );
}

#[test]
fn removed_images_of_a_list_are_skipped_and_counted_in_their_split() {
    let folder = folder_of(&FOUR_CLASSES);
    let manifest = folder.path().join("list.csv");
    let split = |name: &str| if name < "c" { "train" } else { "test" };
    let rows = FOUR_CLASSES
        .iter()
        .map(|name| format!("{name},{},{}\n", &name[..1], split(name)));
    let rows: String = rows.collect();
    fs::write(&manifest, format!("path,label,split\n{rows}")).unwrap();
    let open_with = |broken_images| {
        let keys = ManifestConfig {
            root: manifest.clone(),
            ..Default::default()
        };
        let loading = LoadingConfig {
            broken_images,
            ..Default::default()
        };
        open_source(DatasetConfig::Manifest(keys), loading)
    };
    assert_eq!(
        open_with(BrokenImages::Skip).unwrap().train.skipped().len(),
        0
    );
    for name in ["a/1.jpeg", "d/0.png", "d/2.png"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("b/0.jpg"), "<html>").unwrap();
    let message = open_with(BrokenImages::Fail).unwrap_err().to_string();
    assert!(message.contains("a/1.jpeg is missing"), "{message}");
    // One image of class d is left.
    let message = open_with(BrokenImages::Skip).unwrap_err().to_string();
    assert!(message.contains("class d of the test split"), "{message}");
    draw(folder.path(), "d/0.png");
    let splits = open_with(BrokenImages::Skip).unwrap();
    assert_eq!(splits.train.labels(), [0, 0, 1, 1]);
    let [missing, broken] = splits.train.skipped() else {
        panic!("{:?}", splits.train.skipped());
    };
    assert!(missing.contains("a/1.jpeg is missing"), "{missing}");
    assert!(broken.contains("b/0.jpg is an HTML page"), "{broken}");
    assert_eq!(splits.test.skipped().len(), 1);
    assert!(splits.warnings.is_empty(), "{:?}", splits.warnings);
}

#[test]
fn cancellation_ends_opening() {
    let config = DataConfig {
        source: DatasetConfig::Folder(FolderConfig {
            root: folder_of(&FOUR_CLASSES).keep(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let transform = Transform::new(&config.transform).unwrap();
    let cancellation = CancellationToken::new();
    cancellation.cancel();
    let error = open(&config, None, &transform, &cancellation, &NoProgress).unwrap_err();
    assert_eq!(error, DataError::Cancelled);
    fs::remove_dir_all(config.source.root().unwrap()).unwrap();
}

/// Opens `ROOT/train` and `ROOT/test` with a cache, and holds fold `fold` of two out, or a share.
fn open_held_out(root: &Path, fold: Option<usize>) -> Result<Splits, DataError> {
    let mut config = DataConfig {
        source: DatasetConfig::Folder(FolderConfig {
            root: root.into(),
            ..Default::default()
        }),
        loading: LoadingConfig {
            cache: true,
            cache_dir: Some(root.join(".cache")),
            ..Default::default()
        },
        ..Default::default()
    };
    if let Some(fold) = fold {
        config.hold_out = HoldOutConfig {
            validation_share: None,
            split_seed: None,
            folds: Some(2),
            fold: Some(fold),
        };
    }
    let transform = Transform::new(&config.transform).unwrap();
    let hold_out = Some(HoldOut { batch_classes: 2 });
    open(
        &config,
        hold_out,
        &transform,
        &CancellationToken::new(),
        &NoProgress,
    )
}

fn folder_of_six_training_classes() -> TempDir {
    let mut names = Vec::new();
    for class in [
        "train/a", "train/b", "train/c", "train/d", "train/e", "train/f",
    ] {
        names.extend((0..3).map(|image| format!("{class}/{image}.png")));
    }
    for class in ["test/x", "test/y"] {
        names.extend((0..2).map(|image| format!("{class}/{image}.png")));
    }
    folder_of(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn held_out_classes_are_the_validation_split_with_its_files() {
    let folder = folder_of_six_training_classes();
    let splits = open_held_out(folder.path(), None).unwrap();
    let validation = splits.validation.unwrap();
    assert_eq!(splits.train.class_names().len(), 4);
    assert_eq!(validation.class_names().len(), 2);
    assert_eq!(splits.test.class_names(), ["x", "y"]);
    for split in [&splits.train, &validation] {
        for image in 0..split.labels().len() {
            let class = &split.class_names()[split.labels()[image]];
            let name = format!("train/{class}/{}.png", image % 3);
            assert_eq!(split.image_name(image), name);
            assert_eq!(split.path(image), Some(folder.path().join(name).as_path()));
        }
    }
    let digests = [&splits.train, &validation, &splits.test]
        .map(|split| split.files_digest(Monitor::none()).unwrap());
    assert!(digests.iter().all(Option::is_some));
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn every_fold_uses_one_cache_of_the_training_images() {
    let folder = folder_of_six_training_classes();
    let caches = || {
        let files = fs::read_dir(folder.path().join(".cache")).unwrap();
        let names = files.map(|file| file.unwrap().file_name());
        let is_cache = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".images");
        names.filter(is_cache).count()
    };
    open_held_out(folder.path(), Some(1)).unwrap();
    assert_eq!(caches(), 3, "training, validation and test images");
    open_held_out(folder.path(), Some(2)).unwrap();
    assert_eq!(caches(), 4, "another validation split");
}

#[test]
fn too_few_classes_to_hold_out_are_refused_before_images_are_cached() {
    let folder = folder_of(&FOUR_CLASSES);
    let message = open_held_out(folder.path(), None).unwrap_err().to_string();
    assert!(message.contains("of the 2 training classes"), "{message}");
    assert!(!folder.path().join(".cache").exists());
}

#[test]
fn without_hold_out_all_training_classes_train() {
    let folder = folder_of_six_training_classes();
    let splits = open_folder(&folder, FolderConfig::default()).unwrap();
    assert_eq!(splits.train.class_names().len(), 6);
    assert!(splits.validation.is_none());
}
