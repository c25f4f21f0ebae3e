//! Features of any model in files of embeddings, to train a head on.
//!
//! One file has all classes, which are divided as those of a folder: the first half by name trains, or by number
//! if classes have no names. A folder has a file of each split.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use super::class_split::divide;
use super::error::DatasetError;
use super::feature_error::FeatureError;
use super::index::Subset;
use crate::data::config::{EmbeddingsConfig, SingleImageClasses};
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::split::{Split, SplitError, Splits};
use crate::embedding_file::{Embeddings, LabelsOption};
use crate::evaluation::Role;
use crate::progress::Monitor;
use crate::setting::SettingError;

/// The extensions of files in a folder.
const EXTENSIONS: [&str; 4] = ["safetensors", "npy", "npz", "parquet"];

/// Opens the features at `keys.root`. `seed` draws the training classes of a single file. Checks between the files
/// whether the work is cancelled.
pub(super) fn open(
    keys: &EmbeddingsConfig,
    seed: Option<u64>,
    monitor: Monitor<'_>,
) -> Result<Splits, DatasetError> {
    let policy = keys.single_image_classes;
    monitor.check()?;
    if !keys.root.is_dir() {
        let file = Arc::new(read(&keys.root, keys.labels.as_deref())?);
        monitor.check()?;
        let what = keys.root.display().to_string();
        let (train, test) = divide(classes(&file), &what, keys.train_share, seed)?;
        return Ok(Splits::new(
            split(Subset::Train, &file, train, policy),
            split(Subset::Test, &file, test, policy),
        ));
    }
    if let Some(labels) = &keys.labels {
        let reason = "it is for a single file, and data.root is a folder; remove this key, and put the labels into its \
                      files or beside them (train.labels.npy)";
        let labels = labels.display().to_string();
        return Err(SettingError::value("data.labels", labels, reason).into());
    }
    let [train, test] = ["train", "test"].map(|name| file_of(&keys.root, name));
    let (train, test) = (train?, test?);
    let train = Arc::new(read(&train, None)?);
    monitor.check()?;
    let test = Arc::new(read(&test, None)?);
    monitor.check()?;
    check_files(&train, &test)?;
    let [train_classes, test_classes] = [&train, &test].map(|file| classes(file));
    let names: HashSet<&str> = train_classes.iter().map(|class| &*class.name).collect();
    if let Some(both) = test_classes
        .iter()
        .find(|class| names.contains(&*class.name))
    {
        let class = both.name.clone();
        return Err(SplitError::ClassInBothSplits { class }.into());
    }
    Ok(Splits::new(
        split(Subset::Train, &train, train_classes, policy),
        split(Subset::Test, &test, test_classes, policy),
    ))
}

/// Reads a file whose rows all have a class.
fn read(path: &Path, labels: Option<&Path>) -> Result<Embeddings, FeatureError> {
    let exists = [Some(path), labels].into_iter().flatten().all(Path::exists);
    let labels = LabelsOption {
        name: "data.labels",
        file: labels,
    };
    let read = Embeddings::read(path, labels).and_then(|file| file.check_labelled().map(|()| file));
    read.map_err(|error| match exists {
        true => FeatureError::File(error.to_string()),
        false => FeatureError::Missing(error.to_string()),
    })
}

/// Returns the file `name` in the folder, with one of the [`EXTENSIONS`].
fn file_of(root: &Path, name: &'static str) -> Result<PathBuf, FeatureError> {
    let files = EXTENSIONS.map(|extension| root.join(format!("{name}.{extension}")));
    let mut files = files.into_iter().filter(|file| file.exists());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        (Some(first), Some(second)) => Err(FeatureError::SeveralFiles {
            split: name,
            first,
            second,
        }),
        (None, _) => Err(FeatureError::MissingSplit {
            root: root.into(),
            split: name,
        }),
    }
}

/// Checks that the rows of two files have the same length, and that their classes can be compared.
fn check_files(train: &Embeddings, test: &Embeddings) -> Result<(), FeatureError> {
    if train.dim != test.dim {
        return Err(FeatureError::Lengths {
            train: train.path().into(),
            train_dim: train.dim,
            test: test.path().into(),
            test_dim: test.dim,
        });
    }
    let (names, numbers) = match (&train.classes, &test.classes) {
        (Some(_), None) => (train, test),
        (None, Some(_)) => (test, train),
        _ => return Ok(()),
    };
    Err(FeatureError::NamesAndNumbers {
        names: names.path().into(),
        numbers: numbers.path().into(),
    })
}

/// A class with the numbers of its rows.
struct ClassRows {
    name: String,
    rows: Vec<usize>,
}

/// Returns the classes that have rows, by name, or by number if they have no names.
fn classes(file: &Embeddings) -> Vec<ClassRows> {
    let mut rows: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, &label) in file.labels.iter().enumerate() {
        rows.entry(label).or_default().push(row);
    }
    let Some(names) = &file.classes else {
        let class = |(label, rows): (i64, _)| ClassRows {
            name: label.to_string(),
            rows,
        };
        return rows.into_iter().map(class).collect();
    };
    // Several labels may have the same name.
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (label, rows) in rows {
        let name = usize::try_from(label)
            .ok()
            .and_then(|label| names.get(label));
        let name = name.expect("labels index the names");
        named.entry(name).or_default().extend(rows);
    }
    let class = |(name, rows): (&str, _)| ClassRows {
        name: name.into(),
        rows,
    };
    named.into_iter().map(class).collect()
}

/// Returns some classes of a file as a split. Classes with one row are treated as `policy` says; the split is
/// checked later.
fn split(
    subset: Subset,
    file: &Arc<Embeddings>,
    mut classes: Vec<ClassRows>,
    policy: SingleImageClasses,
) -> Split {
    use SingleImageClasses::{Drop, Gallery};
    let is_training = subset == Subset::Train;
    if policy == Drop || (policy == Gallery && is_training) {
        classes.retain(|class| class.rows.len() > 1);
    }
    let role = |class: &ClassRows| match class.rows.len() {
        1 if policy == Gallery => Role::Gallery,
        _ => Role::Both,
    };
    let roles = classes
        .iter()
        .flat_map(|class| vec![role(class); class.rows.len()]);
    let roles: Vec<Role> = roles.collect();
    let labels = classes.iter().enumerate();
    let labels = labels.flat_map(|(label, class)| vec![label; class.rows.len()]);
    let rows = FeatureRows {
        file: Arc::clone(file),
        rows: classes
            .iter()
            .flat_map(|class| class.rows.clone())
            .collect(),
    };
    let labels = labels.collect();
    let names = classes.into_iter().map(|class| class.name).collect();
    Split::new(subset.name(), names, labels, Arc::new(rows)).with_roles(roles)
}

/// Some rows of a file.
struct FeatureRows {
    file: Arc<Embeddings>,
    rows: Vec<usize>,
}

impl Images for FeatureRows {
    fn image(&self, index: usize, _min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        Err(ImageError::NoPicture {
            name: self.name(index),
        })
    }

    fn name(&self, index: usize) -> String {
        let row = self.rows[index];
        let paths = self.file.paths.as_ref();
        match paths
            .map(|paths| &paths[row])
            .filter(|path| !path.is_empty())
        {
            Some(path) => path.clone(),
            None => format!("row {row}"),
        }
    }

    fn features(&self, index: usize) -> Option<&[f32]> {
        let dim = self.file.dim;
        Some(&self.file.rows[self.rows[index] * dim..][..dim])
    }
}
