//! Statistics and contact sheets of files and of images in memory.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::data::bounding_box::BoundingBox;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::split::{Split, Splits};
use crate::progress::Monitor;

#[test]
fn stats_are_read_from_headers() {
    let mut tree = Tree::valid();
    tree.add(Subset::Train, "a", &png_stating(640, 480));
    tree.add(Subset::Train, "a", b"no image");
    let bytes: u64 = (1..=4)
        .chain([9])
        .map(|n| tree.folder.path().join(format!("{n}.png")))
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let (_folder, survey) = tree.survey();
    let stats = survey.stats(Monitor::none()).unwrap();
    let train = &stats.train;
    assert_eq!((train.images, train.classes, train.unreadable), (6, 2, 1));
    let width = train.width.unwrap();
    assert_eq!((width.min, width.median, width.max), (40, 40.0, 640));
    assert_eq!(train.height.unwrap().max, 480);
    assert_eq!(train.formats.get("png"), Some(&5));
    assert_eq!(train.bytes, bytes);
    let sizes = train.images_per_class.unwrap();
    assert_eq!((sizes.min, sizes.median, sizes.max), (2, 3.0, 4));
    assert_eq!(stats.test.unreadable, 0);
}

#[test]
fn listed_validation_images_and_bounding_boxes_are_in_the_statistics_and_on_the_sheet() {
    let mut tree = Tree::valid();
    for (class, edges) in [("v", [0, 0, 20, 16]), ("w", [5, 5, 21, 29])] {
        let shade = 200 + tree.lines as u8;
        tree.add(Subset::Validation, class, &png(40, 30, shade));
        let classes = &mut tree.index.validation;
        let images = &mut classes.last_mut().unwrap().images;
        let bounding_box = BoundingBox::new(edges.map(f64::from)).unwrap();
        let part = images[0].clone().with_bounding_box(Some(bounding_box));
        images.push(part);
    }
    let (_folder, survey) = tree.survey();
    let stats = survey.stats(Monitor::none()).unwrap();
    let validation = stats.validation.as_ref().unwrap();
    assert_eq!(
        (validation.images, validation.classes, validation.unreadable),
        (4, 2, 0)
    );
    let (width, height) = (validation.width.unwrap(), validation.height.unwrap());
    assert_eq!((width.min, width.max, width.mean), (16, 40, 29.0));
    assert_eq!((height.min, height.max), (16, 30));
    // Two files, each with a part.
    assert_eq!(validation.formats.get("png"), Some(&2));
    assert_eq!(stats.test.images, 4);
    assert!(
        stats
            .to_string()
            .contains("\nvalidation: 4 images of 2 classes")
    );

    let report = survey.check(Monitor::none());
    let validation = report.validation.as_ref().unwrap();
    assert_eq!((validation.subset.images, validation.queries), (4, 4));
    assert_eq!(report.problems, []);
    let text = report.to_string();
    assert!(
        text.contains("validation  4 images of 2 classes, 2 to 2 per class; 4 queries"),
        "{text}"
    );

    let layout = SheetLayout {
        classes: 64,
        ..LAYOUT
    };
    let sheet = survey.contact_sheet(layout, Monitor::none()).unwrap();
    let row = sheet.rows.iter().find(|row| row.class == "v").unwrap();
    assert_eq!((row.split, row.unreadable), ("validation", 0));
    let mut names = row.images.clone();
    names.sort();
    assert_eq!(names, ["9.png", "9.png#0,0,20,16"]);
}

const LAYOUT: SheetLayout = SheetLayout {
    classes: 3,
    images: 4,
    seed: 1,
};

#[test]
fn a_contact_sheet_shows_thumbnails_on_white_between_lines() {
    let mut tree = Tree::valid();
    tree.index.test.clear();
    tree.index.train.truncate(1);
    let broken = tree.add(Subset::Train, "a", b"no image");
    let (_folder, survey) = tree.survey();
    let sheet = survey.contact_sheet(LAYOUT, Monitor::none()).unwrap();
    assert_eq!(sheet.picture.dimensions(), (4 * 114 + 2, 114 + 2));
    let [row] = sheet.rows.as_slice() else {
        panic!("one class has one row");
    };
    assert_eq!(
        (
            row.split,
            row.class.as_str(),
            row.images.len(),
            row.unreadable
        ),
        ("train", "a", 3, 1)
    );
    let pixel =
        |column: u32, x: u32, y: u32| sheet.picture.get_pixel(2 + 114 * column + x, 2 + y).0;
    for (column, name) in row.images.iter().enumerate() {
        let column = column as u32;
        let [first, middle] = [pixel(column, 56, 2), pixel(column, 56, 56)];
        if broken.ends_with(name) {
            assert_eq!([first, middle], [[128; 3]; 2]);
        } else {
            assert_eq!(first, [255; 3], "a wide image has white above");
            assert_eq!(middle[1..], [90, 200]);
            assert_eq!(
                pixel(column, 1, 56),
                middle,
                "a wide image reaches both sides"
            );
        }
    }
    assert_eq!(pixel(3, 56, 56), [255; 3], "there is no fourth image");
    assert_eq!(sheet.picture.get_pixel(0, 0).0, [221; 3]);
    assert_eq!(sheet.picture.get_pixel(115, 50).0, [221; 3]);
}

#[test]
fn the_same_seed_draws_the_same_classes_and_another_seed_others() {
    let mut tree = Tree::valid();
    for number in 0..20 {
        for shade in [100, 101] {
            tree.add(Subset::Test, &format!("more-{number}"), &png(20, 20, shade));
        }
    }
    let (_folder, survey) = tree.survey();
    let rows = |seed| {
        let layout = SheetLayout { seed, ..LAYOUT };
        survey.contact_sheet(layout, Monitor::none()).unwrap().rows
    };
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
    let classes: BTreeSet<String> = rows(3).into_iter().map(|row| row.class).collect();
    assert_eq!(classes.len(), 3, "no class is drawn twice");
}

#[test]
fn a_contact_sheet_overwrites_nothing() {
    let (_images, survey) = Tree::valid().survey();
    let sheet = survey.contact_sheet(LAYOUT, Monitor::none()).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sheet.png");
    check_sheet_path(&path).unwrap();
    sheet.write(&path).unwrap();
    assert_eq!(image::open(&path).unwrap().into_rgb8(), sheet.picture);
    let message = check_sheet_path(&path).unwrap_err().to_string();
    assert!(message.contains("not overwritten"), "{message}");
    sheet.write(&path).unwrap_err();
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        1,
        "no temporary file remains"
    );
    check_sheet_path(Path::new("/nowhere/sheet.png")).unwrap_err();
}

/// Grey squares of the same size.
struct Squares;

impl Images for Squares {
    fn image(&self, _index: usize, _min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        Ok(RgbImage::from_pixel(28, 28, Rgb([60; 3])))
    }

    fn name(&self, index: usize) -> String {
        format!("square {index}")
    }
}

#[test]
fn images_in_memory_are_counted_and_drawn() {
    let split = |name| {
        let classes = ["x", "y"].map(String::from).to_vec();
        Split::new(name, classes, vec![0, 1, 0, 1, 1], Arc::new(Squares))
    };
    let survey = DatasetSurvey {
        config: DataConfig::default(),
        contents: Contents::Memory(Box::new(Splits::new(split("train"), split("test")))),
        hold_out: None,
    };
    let report = survey.check(Monitor::none());
    assert!(report.in_memory && report.problems.is_empty());
    assert_eq!(report.test.subset.images_per_class, Some([2, 3]));
    assert_eq!((report.test.queries, report.test.gallery), (5, 5));
    let stats = survey.stats(Monitor::none()).unwrap();
    assert_eq!(stats.test.width.unwrap().median, 28.0);
    let sheet = survey.contact_sheet(LAYOUT, Monitor::none()).unwrap();
    assert_eq!(sheet.rows.len(), 3);
    assert_eq!(
        sheet.picture.get_pixel(2, 2).0,
        [60; 3],
        "small images are enlarged"
    );
}
