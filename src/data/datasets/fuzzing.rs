//! The parsers of datasets' files as functions of bytes. They return the messages of all errors.

use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::collector::Collector;
use super::error::DatasetError;
use super::idx::{IMAGES_MAGIC, IdxFile, LABELS_MAGIC};
use super::list_file::ListFile;
use super::mat_file::MatFile;
use super::{manifest, unlabelled_csv};
use crate::progress::{Monitor, Unit};

/// Parses a CSV file as a manifest and as a list of images to embed.
pub(crate) fn csv_list(bytes: &[u8]) -> Vec<String> {
    let list = match ListFile::parse(Path::new("fuzz.csv"), bytes.to_vec()) {
        Ok(list) => list,
        Err(error) => return vec![error.to_string()],
    };
    let listing = Monitor::none().task("fuzzing", None, Unit::Images);
    let mut collector = Collector::new(&listing);
    let mut errors: Vec<DatasetError> = Vec::new();
    errors.extend(manifest::rows(&list, &mut collector).err());
    errors.append(&mut collector.errors);
    match unlabelled_csv::image_rows(&list) {
        Ok((_, more)) => errors.extend(more),
        Err(error) => errors.push(error),
    }
    errors.iter().map(ToString::to_string).collect()
}

/// Parses an IDX file as images and as labels.
pub(crate) fn idx(bytes: &[u8]) -> Vec<String> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    let path = || PathBuf::from("fuzz-idx");
    let (images, labels) = (("images", IMAGES_MAGIC), ("labels", LABELS_MAGIC));
    let available = 1 << 20;
    let errors = match bytes.starts_with(GZIP) {
        true => [
            IdxFile::<3>::parse(path(), GzDecoder::new(bytes), available, images).err(),
            IdxFile::<1>::parse(path(), GzDecoder::new(bytes), available, labels).err(),
        ],
        false => [
            IdxFile::<3>::parse(path(), bytes, available, images).err(),
            IdxFile::<1>::parse(path(), bytes, available, labels).err(),
        ],
    };
    let errors = errors.iter().flatten();
    errors.map(ToString::to_string).collect()
}

/// Parses a MATLAB file and reads the variables of Cars196.
pub(crate) fn mat(bytes: &[u8]) -> Vec<String> {
    match MatFile::parse(Path::new("fuzz.mat"), bytes) {
        Ok(file) => {
            for record in file.records("annotations").into_iter().flatten() {
                let _ = (record.number("class"), record.text("fname"));
            }
            let _ = file.texts("class_names");
            Vec::new()
        }
        Err(error) => vec![error.to_string()],
    }
}
