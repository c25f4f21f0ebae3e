//! The benchmarks with all their images, compared with the published splits.
//!
//! The tests rebuild the archives' lists from `assets/fixtures/published`. Every image is a link to one
//! tiny file.
//!
//! - `cub200.txt.gz` has a line `FOLDER PREFIX SUFFIX…` for each class.
//! - `sop.txt.gz` has a line `SUBSET FOLDER`, followed by a line `NUMBER COUNT MISSING…` for each class.
//!   The number is the difference from the previous one. The images are numbered 0 to COUNT − 1 without
//!   the missing numbers.
//! - SciPy wrote `cars_annos.mat.gz` in the format of the archive, with other names of classes.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::super::mat_file::MatFile;
use super::super::test_tree::{error_messages, unmonitored};
use super::super::{cars196, cub200, sop};
use super::*;
use crate::data::config::PublishedConfig;
use crate::progress::Task;

const CARS: &[u8] = include_bytes!("../../../../assets/fixtures/published/cars_annos.mat.gz");
const BIRDS: &[u8] = include_bytes!("../../../../assets/fixtures/published/cub200.txt.gz");
const PRODUCTS: &[u8] = include_bytes!("../../../../assets/fixtures/published/sop.txt.gz");
/// Longest time for the index of the largest benchmark, in an unoptimised build on a busy machine.
const INDEX_TIME: Duration = Duration::from_secs(20);

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut all).unwrap();
    all
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(unpacked(bytes)).unwrap()
}

/// The folder of a benchmark.
struct Tree {
    folder: TempDir,
    image: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let image = folder.path().join("image");
        fs::write(&image, tiny_jpeg()).unwrap();
        Self { folder, image }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.root().join(name), contents).unwrap();
    }

    /// Links the image under every name. Copies it if the file system has no links or reaches their limit.
    fn link<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut folder = PathBuf::new();
        for name in names {
            let path = self.root().join(name);
            let above = path.parent().unwrap();
            if above != folder {
                fs::create_dir_all(above).unwrap();
                folder = above.into();
            }
            if fs::hard_link(&self.image, &path).is_err() {
                fs::copy(&self.image, &path).unwrap();
                self.image = path;
            }
        }
    }

    fn config(&self) -> PublishedConfig {
        PublishedConfig {
            root: self.root().into(),
        }
    }
}

fn tiny_jpeg() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(2, 2)
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

type List = fn(&PublishedConfig, &Task<'_>) -> Result<DatasetIndex, DatasetError>;

/// Checks that the tree equals the published split, and no longer after `renamed` is renamed.
fn assert_published(tree: &Tree, list: List, renamed: &str, line: &str) {
    let since = Instant::now();
    let index = list(&tree.config(), &unmonitored()).unwrap();
    assert!(since.elapsed() < INDEX_TIME, "{:?}", since.elapsed());
    assert_eq!(error_messages(&index, tree.root()), [""; 0]);
    assert_eq!(compare(&index), []);

    let path = tree.root().join(renamed);
    let other = path.with_file_name("renamed.jpg");
    fs::rename(&path, &other).unwrap();
    let index = list(&tree.config(), &unmonitored()).unwrap();
    let found = error_messages(&index, tree.root());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with(line), "{found:?}");
    assert!(
        found[0].contains(&format!("image {renamed} is missing")),
        "{found:?}"
    );
    assert!(
        found[1].contains("renamed.jpg is not in any list"),
        "{found:?}"
    );
    assert_eq!(compare(&index).len(), 1);

    fs::remove_file(other).unwrap();
    assert_eq!(
        error_messages(&list(&tree.config(), &unmonitored()).unwrap(), tree.root()),
        found[..1]
    );
}

#[test]
fn all_of_cars196_equals_the_published_split() {
    let mut tree = Tree::new();
    tree.write("cars_annos.mat", unpacked(CARS));
    let file = MatFile::read(&tree.root().join("cars_annos.mat"), "").unwrap();
    let records = file.records("annotations").unwrap().into_iter();
    let names: Vec<String> = records
        .map(|record| record.text("relative_im_path").unwrap())
        .collect();
    tree.link(names.iter().map(String::as_str));
    assert_published(
        &tree,
        cars196::index,
        "car_ims/000007.jpg",
        "cars_annos.mat, ",
    );
}

/// Returns the lists of CUB-200-2011, and the names of its images.
fn birds() -> ([(&'static str, String); 3], Vec<String>) {
    let (mut images, mut labels, mut classes) = (String::new(), String::new(), String::new());
    let mut names = Vec::new();
    for (class, line) in text(BIRDS).lines().enumerate() {
        let (folder, rest) = line.split_once(' ').unwrap();
        let (prefix, suffixes) = rest.split_once(' ').unwrap();
        writeln!(classes, "{} {folder}", class + 1).unwrap();
        for suffix in suffixes.split(' ') {
            let (id, name) = (names.len() + 1, format!("{folder}/{prefix}_{suffix}.jpg"));
            writeln!(images, "{id} {name}").unwrap();
            writeln!(labels, "{id} {}", class + 1).unwrap();
            names.push(format!("images/{name}"));
        }
    }
    let lists = [
        ("images.txt", images),
        ("image_class_labels.txt", labels),
        ("classes.txt", classes),
    ];
    (lists, names)
}

#[test]
fn all_of_cub_200_equals_the_published_split() {
    let mut tree = Tree::new();
    let (lists, names) = birds();
    for (name, text) in &lists {
        tree.write(name, text);
    }
    tree.link(names.iter().map(String::as_str));
    assert_published(
        &tree,
        cub200::index,
        &names[11_000],
        "images.txt, line 11001: ",
    );
}

#[test]
fn exchanged_labels_of_two_images_differ_from_the_published_split() {
    let mut tree = Tree::new();
    let (mut lists, names) = birds();
    // Image 1 is of class 1 and image 61 of class 2, so the counts stay the same.
    let labels = lists[1].1.replacen("\n61 2\n", "\n61 1\n", 1);
    lists[1].1 = labels.replacen("1 1\n", "1 2\n", 1);
    for (name, text) in &lists {
        tree.write(name, text);
    }
    tree.link(names.iter().map(String::as_str));
    let differences = compare(&cub200::index(&tree.config(), &unmonitored()).unwrap());
    assert_eq!(differences.len(), 1);
    let message = differences[0].to_string();
    assert!(
        message.contains("some image has another name or class"),
        "{message}"
    );
}

/// Returns `Ebay_train.txt` and `Ebay_test.txt`, and the names of all images.
fn products() -> ([String; 2], Vec<String>) {
    let mut lists = ["image_id class_id super_class_id path\n"; 2].map(String::from);
    let (mut names, mut subset, mut folder) = (Vec::new(), 0, String::new());
    let (mut class, mut super_class, mut item) = (0, 0, 0);
    for line in text(PRODUCTS).lines() {
        if let Some((name, kind)) = line.split_once(' ')
            && ["train", "test"].contains(&name)
        {
            let now = usize::from(name == "test");
            super_class = if now == subset { super_class + 1 } else { 1 };
            (subset, item, folder) = (now, 0, format!("{kind}_final"));
            continue;
        }
        let numbers: Vec<usize> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        (class, item) = (class + 1, item + numbers[0]);
        for view in (0..numbers[1]).filter(|view| !numbers[2..].contains(view)) {
            let name = format!("{folder}/{item}_{view}.JPG");
            let id = names.len() + 1;
            writeln!(lists[subset], "{id} {class} {super_class} {name}").unwrap();
            names.push(name);
        }
    }
    (lists, names)
}

#[test]
fn all_of_stanford_online_products_equals_the_published_split() {
    let mut tree = Tree::new();
    let ([train, test], names) = products();
    tree.write("Ebay_train.txt", train);
    tree.write("Ebay_test.txt", test);
    tree.link(names.iter().map(String::as_str));
    assert_eq!(names.len(), 120_053);
    assert_published(&tree, sop::index, &names[59_551], "Ebay_test.txt, line 2: ");
}
