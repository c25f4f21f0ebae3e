//! Manifests from the file to the images of the splits: bounding boxes and validation rows.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use image::{ImageFormat, Rgb, RgbImage, imageops};
use tempfile::TempDir;

use super::config::{
    DataConfig, DatasetConfig, HoldOutConfig, LoadingConfig, ManifestConfig, TransformConfig,
};
use super::resize::ResizeSpec;
use super::*;
use crate::evaluation::Role;
use crate::progress::NoProgress;

/// An APP1 segment with a TIFF directory of one entry: tag 0x112 (orientation), SHORT, 6: rotate by 90°.
const ROTATED: &[u8] =
    b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

fn pattern(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([x * 5 + seed, y * 7, (x * y) / 9 + 40 * seed].map(|c| c as u8))
    })
}

/// A folder with a manifest.
struct Shop(TempDir);

impl Shop {
    fn new(list: &str) -> Self {
        let shop = Self(TempDir::new().unwrap());
        shop.list(list);
        shop
    }

    /// A list of classes of two images of 30 × 20 pixels in each split, which it names.
    fn of_splits(splits: &[(&str, &[&str])]) -> Self {
        let mut list = String::from("path,label,split\n");
        let shop = Self::new("");
        for (split, classes) in splits {
            for class in *classes {
                for number in 0..2 {
                    let name = format!("{class}{number}.png");
                    list += &format!("{name},{class},{split}\n");
                    let seed = list.len() as u32;
                    pattern(30, 20, seed).save(shop.path(&name)).unwrap();
                }
            }
        }
        shop.list(&list);
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn list(&self, list: &str) {
        fs::write(self.path("list.csv"), list).unwrap();
    }

    fn caches(&self) -> usize {
        let Ok(files) = fs::read_dir(self.path("cache")) else {
            return 0;
        };
        let names = files.map(|file| file.unwrap().path());
        names
            .filter(|path| path.extension().is_some_and(|end| end == "images"))
            .count()
    }

    fn config(&self, cache: bool) -> DataConfig {
        DataConfig {
            source: DatasetConfig::Manifest(ManifestConfig {
                root: self.path("list.csv"),
                ..Default::default()
            }),
            transform: TransformConfig {
                image_size: 16,
                resize: 20,
                ..Default::default()
            },
            loading: LoadingConfig {
                cache,
                cache_dir: Some(self.path("cache")),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    fn open(&self) -> Result<Splits, DataError> {
        opened(&self.config(false), Some(HoldOut { batch_classes: 2 }))
    }
}

fn opened(config: &DataConfig, hold_out: Option<HoldOut>) -> Result<Splits, DataError> {
    let transform = Transform::new(&config.transform).unwrap();
    let token = CancellationToken::new();
    open(config, hold_out, &transform, &token, &NoProgress)
}

/// Returns the message without the shop's folder.
fn refusal(shop: &Shop) -> String {
    let message = shop.open().unwrap_err().to_string();
    message.replace(&format!("{}/", shop.0.path().display()), "")
}

/// A list of four training and two test classes, whose first image is `row`.
fn with_box(row: &str) -> Shop {
    let shop = Shop::of_splits(&[("train", &["b", "c", "f", "g"]), ("test", &["d", "e"])]);
    let rest = fs::read_to_string(shop.path("list.csv")).unwrap();
    let mut list = format!("path,label,split,x_1,x_2,y_1,y_2\n{row}\n");
    for line in rest.lines().skip(1) {
        list += &format!("{line},,,,\n");
    }
    shop.list(&list);
    shop
}

/// Writes a picture of 640 × 480 pixels as stored in the format of its name.
fn large(shop: &Shop, name: &str, rotated: bool) -> PathBuf {
    let format = ImageFormat::from_path(name).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    pattern(640, 480, 3).write_to(&mut bytes, format).unwrap();
    let mut bytes = bytes.into_inner();
    if rotated {
        bytes.splice(2..2, ROTATED.iter().copied());
    }
    fs::write(shop.path(name), bytes).unwrap();
    shop.path(name)
}

#[test]
fn images_are_cropped_upright_at_full_size_before_they_are_resized() {
    for (name, rotated) in [("a.png", false), ("a.jpg", false), ("a.jpeg", true)] {
        // 480 × 640 pixels when upright, if it is rotated.
        let shop = with_box(&format!("{name},b,train,101.0,372.6,7,440"));
        let path = large(&shop, name, rotated);
        let splits = opened(&shop.config(false), None).unwrap();
        let index = 0;
        assert_eq!(
            splits.train.image_name(index),
            format!("{name}#101,7,373,440")
        );
        let whole = read_image_file(&path).unwrap();
        let expected = imageops::crop_imm(&whole, 101, 7, 272, 433).to_image();
        assert!(splits.train.image(index).unwrap() == expected, "{name}");
        // A whole image of this size would be decoded at a quarter.
        let resized = splits
            .train
            .resized(index, ResizeSpec::Square(16), Some(16))
            .unwrap();
        assert!(resized == ResizeSpec::Square(16).apply(&expected), "{name}");
    }
}

#[test]
fn boxes_are_compared_with_the_upright_image_before_a_training() {
    // (name, rotated, x_1, x_2, y_1, y_2, the message if it is refused)
    for (name, rotated, edges, fits) in [
        ("a.jpg", false, "0,640,0,480", true),
        ("a.jpg", false, "0,480,0,640", false),
        ("a.jpg", true, "0,480,0,640", true),
        ("a.jpg", true, "0,640,0,480", false),
        ("a.png", false, "639,640,479,480", true),
        ("a.png", false, "0,641,0,480", false),
        ("a.png", false, "0,640.4,0,480", true),
        ("a.png", false, "0,640.6,0,480", false),
        ("a.png", false, "700,900,700,900", false),
    ] {
        let shop = with_box(&format!("{name},b,train,{edges}"));
        large(&shop, name, rotated);
        if fits {
            shop.open().unwrap();
            continue;
        }
        let message = refusal(&shop);
        assert!(
            message.starts_with("list.csv, line 2: the bounding box "),
            "{message}"
        );
        let size = if rotated { "480 x 640" } else { "640 x 480" };
        let expected =
            format!("is not inside {name}, which has {size} pixels when upright; correct it");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn caches_and_digests_depend_on_the_boxes() {
    let shop = with_box("a.png,b,train,0,100,0,100");
    large(&shop, "a.png", false);
    let pixels = |splits: &Splits| {
        let resized = splits.train.resized(0, ResizeSpec::Square(16), None);
        resized.unwrap()
    };
    let hold_out = None;
    let digest = |splits: &Splits| splits.train.files_digest(Monitor::none()).unwrap();
    let plain = opened(&shop.config(false), hold_out).unwrap();
    let cached = opened(&shop.config(true), hold_out).unwrap();
    assert_eq!(shop.caches(), 2);
    assert!(pixels(&plain) == pixels(&cached));
    let first = digest(&plain);

    let list = fs::read_to_string(shop.path("list.csv")).unwrap();
    shop.list(&list.replace("0,100,0,100", "1,100,0,100"));
    let plain = opened(&shop.config(false), hold_out).unwrap();
    let cached = opened(&shop.config(true), hold_out).unwrap();
    assert_eq!(shop.caches(), 3, "the training images are cached again");
    assert!(pixels(&plain) == pixels(&cached));
    assert_ne!(digest(&plain), first);
}

#[test]
fn listed_validation_classes_validate_and_all_training_classes_train() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b", "c"]),
        ("val", &["d", "e"]),
        ("test", &["f", "g"]),
    ]);
    let splits = opened(&shop.config(true), Some(HoldOut { batch_classes: 2 })).unwrap();
    assert_eq!(splits.train.class_names(), ["a", "b", "c"]);
    let validation = splits.validation.unwrap();
    assert_eq!(validation.class_names(), ["d", "e"]);
    assert_eq!(
        (validation.name(), validation.labels().len()),
        ("validation", 4)
    );
    assert_eq!(splits.validation_source, Some(ValidationSource::Listed));
    assert_eq!(splits.test.class_names(), ["f", "g"]);
    assert!(splits.warnings.is_empty());
    assert_eq!(shop.caches(), 3);

    // The test split chooses.
    let splits = opened(&shop.config(true), None).unwrap();
    assert!(splits.validation.is_none() && splits.validation_source.is_none());
    let warning = splits.warnings.concat();
    assert!(
        warning.starts_with("the 4 listed validation images of 2 classes are not used"),
        "{warning}"
    );
}

#[test]
fn listed_validation_images_keep_their_roles() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b"]),
        ("val", &["d", "e"]),
        ("test", &["f", "g"]),
    ]);
    let list = fs::read_to_string(shop.path("list.csv")).unwrap();
    let row = |line: &str| match line {
        "path,label,split" => format!("{line},is_query,is_gallery\n"),
        _ if line.ends_with("train") => format!("{line},,\n"),
        _ if line.contains("0.png") => format!("{line},True,False\n"),
        _ => format!("{line},False,True\n"),
    };
    shop.list(&list.lines().map(row).collect::<String>());
    let splits = shop.open().unwrap();
    use Role::{Gallery, Query};
    let roles = [Query, Gallery, Query, Gallery];
    assert_eq!(splits.validation.unwrap().roles().unwrap(), roles);
    assert_eq!(splits.test.roles().unwrap(), roles);
    assert!(splits.train.roles().is_none());

    shop.list(
        &list
            .lines()
            .map(row)
            .collect::<String>()
            .replace("d1.png,d,val,False,True\n", "")
            .replace("e1.png,e,val,False,True\n", ""),
    );
    let message = refusal(&shop);
    assert!(
        message.starts_with("the validation split has no query with a gallery image of its class"),
        "{message}"
    );
}

#[test]
fn holding_classes_out_contradicts_listed_validation_rows() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b", "c", "h"]),
        ("validation", &["d", "e"]),
        ("test", &["f", "g"]),
    ]);
    let open_with = |hold_out: HoldOutConfig, protocol| {
        let config = DataConfig {
            hold_out,
            ..shop.config(false)
        };
        opened(&config, protocol)
    };
    let validated = Some(HoldOut { batch_classes: 2 });
    let share = HoldOutConfig {
        validation_share: Some(0.3),
        ..Default::default()
    };
    let folds = HoldOutConfig {
        validation_share: None,
        folds: Some(2),
        fold: Some(1),
        split_seed: None,
    };
    for (keys, start) in [
        (
            &share,
            "`data.validation_share = 0.3`: the list has rows of the split validation",
        ),
        (
            &folds,
            "`data.folds = 2`: the list has rows of the split validation",
        ),
    ] {
        let message = open_with(keys.clone(), validated).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
        open_with(keys.clone(), None).unwrap();
    }
    // Other lists are divided by these keys.
    let shop = Shop::of_splits(&[("train", &["a", "b", "c", "h"]), ("test", &["f", "g"])]);
    let config = DataConfig {
        hold_out: folds,
        ..shop.config(false)
    };
    let splits = opened(&config, validated).unwrap();
    assert_eq!(splits.validation_source, Some(ValidationSource::HeldOut));
}

#[test]
fn validation_rows_without_test_rows_are_the_test_split() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b", "c", "d"]),
        ("validation", &["e", "f"]),
    ]);
    let splits = shop.open().unwrap();
    assert_eq!(splits.test.class_names(), ["e", "f"]);
    // Training classes are held out, as for a list of train and test.
    assert_eq!(splits.train.class_names().len(), 2);
    assert_eq!(splits.validation.unwrap().class_names().len(), 2);
    assert_eq!(splits.validation_source, Some(ValidationSource::HeldOut));
    let warning = splits.warnings.concat();
    assert!(
        warning.contains("the validation rows are the test split"),
        "{warning}"
    );
    let splits = opened(&shop.config(false), None).unwrap();
    assert_eq!(splits.train.class_names().len(), 4);
    assert_eq!(splits.warnings.len(), 1);
}

#[test]
fn one_listed_validation_class_is_refused() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b"]),
        ("val", &["c"]),
        ("test", &["d", "e"]),
    ]);
    let message = refusal(&shop);
    assert!(
        message.starts_with("the validation split has 1 class(es)"),
        "{message}"
    );
}

#[test]
fn validation_images_that_are_not_used_are_not_opened() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b", "h", "i"]),
        ("val", &["c", "d"]),
        ("test", &["e", "f"]),
    ]);
    let list = fs::read_to_string(shop.path("list.csv")).unwrap();
    shop.list(&list.replace("c1.png,c,val\n", ""));
    fs::write(shop.path("d0.png"), "no image").unwrap();
    let splits = opened(&shop.config(false), None).unwrap();
    assert!(splits.validation.is_none() && splits.validation_source.is_none());
    assert_eq!(splits.train.class_names(), ["a", "b", "h", "i"]);
    let warning = splits.warnings.concat();
    assert!(
        warning.starts_with("the 3 listed validation images of 2 classes are not used"),
        "{warning}"
    );
    // They choose the best epoch.
    let message = refusal(&shop);
    assert!(message.contains("d0.png"), "{message}");
    pattern(30, 20, 1).save(shop.path("d0.png")).unwrap();
    let message = refusal(&shop);
    assert!(
        message.starts_with("class c of the validation split has 1 image(s)"),
        "{message}"
    );
}

#[test]
fn validation_images_that_all_are_missing_are_not_replaced_by_training_classes() {
    let shop = Shop::of_splits(&[
        ("train", &["a", "b", "c", "d"]),
        ("val", &["e", "f"]),
        ("test", &["g", "h"]),
    ]);
    for name in ["e0.png", "e1.png", "f0.png", "f1.png"] {
        fs::remove_file(shop.path(name)).unwrap();
    }
    let mut config = shop.config(false);
    config.loading.broken_images = super::config::BrokenImages::Skip;
    let message = opened(&config, Some(HoldOut { batch_classes: 2 }))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("the validation split has 0 class(es)"),
        "{message}"
    );
}
