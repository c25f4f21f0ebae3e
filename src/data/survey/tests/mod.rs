//! A survey of a small dataset of files with a list.

mod image_problems;
mod problems;
mod reports;
mod views;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::dataset_survey::Contents;
use super::*;
use crate::data::config::{DataConfig, DatasetConfig, PublishedConfig};
use crate::data::datasets::{ClassEntries, DatasetIndex, Entry, Subset};
use crate::data::list_line::ListLine;
use crate::evaluation::Role;
use crate::progress::Monitor;

/// A dataset in a temporary folder, listed in `list.txt` with one image per line.
struct Tree {
    folder: TempDir,
    index: DatasetIndex,
    lines: usize,
}

impl Tree {
    /// Makes two classes for each subset, with two different images each.
    fn valid() -> Self {
        let folder = TempDir::new().unwrap();
        let index = DatasetIndex::default();
        let mut tree = Self {
            folder,
            index,
            lines: 0,
        };
        for (subset, class) in [
            (Subset::Train, "a"),
            (Subset::Train, "b"),
            (Subset::Test, "c"),
            (Subset::Test, "d"),
        ] {
            for number in 0..2 {
                let shade = (16 * tree.lines) as u8;
                tree.add(subset, class, &png(40, 30 + number, shade));
            }
        }
        tree
    }

    /// Writes and lists a file of these bytes as the next image of a class. Returns its path.
    fn add(&mut self, subset: Subset, class: &str, bytes: &[u8]) -> PathBuf {
        let path = self.list(subset, class, Role::Both);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Lists an image without writing it.
    fn list(&mut self, subset: Subset, class: &str, role: Role) -> PathBuf {
        self.lines += 1;
        let name = format!("{}.png", self.lines);
        let path = self.folder.path().join(&name);
        let image = Entry {
            line: Some(ListLine {
                list: Arc::from(self.folder.path().join("list.txt")),
                number: self.lines,
            }),
            role,
            ..Entry::new(name, path.clone())
        };
        let classes = match subset {
            Subset::Train => &mut self.index.train,
            Subset::Validation => &mut self.index.validation,
            Subset::Test => &mut self.index.test,
        };
        match classes.iter_mut().find(|known| known.name == class) {
            Some(known) => known.images.push(image),
            None => classes.push(ClassEntries {
                name: class.into(),
                images: vec![image],
            }),
        }
        path
    }

    fn survey(self) -> (TempDir, DatasetSurvey) {
        self.survey_as(DatasetConfig::Cub200(PublishedConfig::default()))
    }

    fn survey_as(self, source: DatasetConfig) -> (TempDir, DatasetSurvey) {
        let config = DataConfig {
            source,
            ..DataConfig::default()
        };
        let contents = Contents::Files(Box::new(self.index));
        let survey = DatasetSurvey {
            config,
            contents,
            hold_out: None,
        };
        (self.folder, survey)
    }

    fn check(self) -> CheckReport {
        self.survey().1.check(Monitor::none())
    }

    /// Returns the only problem of the dataset.
    fn problem(self) -> Problem {
        let report = self.check();
        assert_eq!(report.problems.len(), 1, "{report}");
        report.problems[0].clone()
    }
}

fn encoded(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encoded(&RgbImage::from_pixel(width, height, Rgb([shade, 90, 200])))
}

/// Returns a PNG file whose header states another width and height.
fn png_stating(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(20, 20, 7);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    bytes
}

/// The severity and the kind of each problem.
fn names(problems: &[Problem]) -> Vec<(&'static str, &'static str)> {
    let name = |problem: &Problem| (problem.severity.name(), problem.kind());
    problems.iter().map(name).collect()
}
