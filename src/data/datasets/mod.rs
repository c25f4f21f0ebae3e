//! The datasets, one file each: from the lists and folders on disk to the images of the splits.

mod cars196;
mod class_split;
mod collector;
mod comparison;
mod csv_list;
mod cub200;
mod delimiter;
mod error;
mod fashion_mnist;
mod feature_error;
mod feature_files;
mod file_names;
mod files_on_disk;
mod folder;
mod folder_entries;
mod folder_error;
mod folder_layout;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod idx;
mod image_detection;
mod image_files;
mod image_set;
mod image_sets;
mod image_walk;
mod in_shop;
mod index;
mod list_columns;
mod list_error;
mod list_file;
mod list_values;
mod listed_path;
mod manifest;
mod mat_file;
mod named_image;
mod near_match;
mod published;
mod similar_names;
mod single_images;
mod sop;
mod split_candidates;
mod synthetic;
#[cfg(test)]
#[path = "tests/tree.rs"]
mod test_tree;
mod unlabelled_csv;

pub(super) use comparison::compare;
pub use error::DatasetError;
pub use feature_error::FeatureError;
pub(super) use folder_error::FolderError;
pub(super) use idx::IdxError;
pub(super) use image_files::split as split_of;
pub use image_set::{ImageSelection, ImageSet};
pub(super) use index::{ClassEntries, DatasetIndex, Entry, Subset};
pub(super) use list_error::ListError;
pub use named_image::{named_image, named_image_file};
#[cfg(test)]
pub(super) use published::{Published, PublishedSubset};
pub(super) use similar_names::similar_classes;

use std::collections::HashSet;

use image_detection::may_be_image;

use super::parallel::worker_count;
use super::split::{Split, Splits};
use crate::data::config::{BrokenImages, DataConfig, DatasetConfig, SingleImageClasses};
use crate::progress::{Monitor, Unit};
use image_files::{exclude_broken, split};
use single_images::apply_single_image_policy;

/// The most warnings about a dataset that a training reports.
const MAXIMUM_WARNINGS: usize = 10;

/// Reads the index of a dataset, or returns `None` if its images are in memory.
///
/// # Errors
/// If the root or a list does not exist or has the wrong format, or the work is cancelled. Other errors
/// are in [`DatasetIndex::errors`].
pub(super) fn index(
    config: &DataConfig,
    monitor: Monitor<'_>,
) -> Result<Option<DatasetIndex>, DatasetError> {
    let seed = config.hold_out.split_seed;
    let listing = monitor.task("listing images", None, Unit::Images);
    let index = match &config.source {
        DatasetConfig::Synthetic(_)
        | DatasetConfig::FashionMnist(_)
        | DatasetConfig::Embeddings(_) => return Ok(None),
        DatasetConfig::Cars196(keys) => cars196::index(keys, &listing),
        DatasetConfig::Cub200(keys) => cub200::index(keys, &listing),
        DatasetConfig::Sop(keys) => sop::index(keys, &listing),
        DatasetConfig::InShop(keys) => in_shop::index(keys, &listing),
        DatasetConfig::Folder(keys) => folder::index(keys, seed, &listing),
        DatasetConfig::Manifest(keys) => manifest::index(keys, seed, &listing),
    };
    // If it was cancelled, the reader has not found all images, and its errors may result from that.
    listing.check()?;
    listing.finish();
    index.map(Some)
}

/// Opens all splits of the configured dataset. It does not check whether they have enough classes,
/// images and queries. There is a validation split if the dataset lists one and `with_validation`. Otherwise
/// listed validation images are not read, and a warning says so.
pub(super) fn open(
    config: &DataConfig,
    with_validation: bool,
    monitor: Monitor<'_>,
) -> Result<Splits, DatasetError> {
    let workers = worker_count(config.loading.workers);
    match &config.source {
        DatasetConfig::Synthetic(keys) => synthetic::open(keys, workers, monitor),
        DatasetConfig::FashionMnist(keys) => fashion_mnist::open(keys, monitor),
        DatasetConfig::Embeddings(keys) => {
            feature_files::open(keys, config.hold_out.split_seed, monitor)
        }
        _ => {
            let index = index(config, monitor)?.expect("all other datasets have an index");
            if index.has_validation() && with_validation {
                let (splits, warnings) = splits(Subset::ALL, index, config, monitor)?;
                let [train, validation, test] = splits;
                let mut splits = Splits::new(train, test).with_listed_validation(validation);
                splits.warnings = warnings;
                return Ok(splits);
            }
            let unused = index.has_validation().then(|| unused_validation(&index));
            let ([train, test], mut warnings) =
                splits([Subset::Train, Subset::Test], index, config, monitor)?;
            warnings.extend(unused);
            let mut splits = Splits::new(train, test);
            splits.warnings = warnings;
            Ok(splits)
        }
    }
}

/// Returns the warning that a listed validation split is not used.
fn unused_validation(index: &DatasetIndex) -> String {
    let classes = &index.validation;
    let images: usize = classes.iter().map(|class| class.images.len()).sum();
    format!(
        "the {images} listed validation images of {} classes are not used, since the test split chooses the best \
         epoch (evaluation.protocol = \"published\")",
        classes.len()
    )
}

/// Opens the test split alone, with warnings about the dataset.
pub(super) fn open_test(
    config: &DataConfig,
    monitor: Monitor<'_>,
) -> Result<(Split, Vec<String>), DatasetError> {
    match index(config, monitor)? {
        None => open(config, false, monitor).map(|splits| (splits.test, splits.warnings)),
        Some(index) => {
            let ([test], warnings) = splits([Subset::Test], index, config, monitor)?;
            Ok((test, warnings))
        }
    }
}

/// Opens the splits of some subsets, with warnings about the dataset.
fn splits<const N: usize>(
    subsets: [Subset; N],
    mut index: DatasetIndex,
    config: &DataConfig,
    monitor: Monitor<'_>,
) -> Result<([Split; N], Vec<String>), DatasetError> {
    let broken = config.loading.broken_images;
    accept(&index, broken)?;
    // Differences of a split that is not opened do not matter.
    let matters = |warning: &DatasetError| match warning {
        DatasetError::NotPublished { split, .. } => {
            subsets.iter().any(|subset| subset.name() == *split)
        }
        _ => true,
    };
    let mut warnings: Vec<DatasetError> = compare(&index).into_iter().filter(matters).collect();
    warnings.extend(index.warnings.iter().cloned());
    warnings.extend(layout_warnings(&index));
    let workers = worker_count(config.loading.workers);
    let mut skipped = Vec::with_capacity(N);
    for subset in subsets {
        let missing = index.missing.iter().filter(|(of, _)| *of == subset);
        let mut errors: Vec<DatasetError> = missing.map(|(_, error)| error.clone()).collect();
        errors.extend(broken_links(&index, subset));
        let classes = index.classes_mut(subset);
        errors.extend(exclude_broken(classes, broken, workers, monitor)?);
        skipped.push(errors);
    }
    // Excluding images may have left classes with one image.
    let policy = single_image_classes(&config.source);
    apply_single_image_policy(&mut index, policy, &subsets);
    accept(&index, broken)?;
    let mut skipped = skipped.into_iter();
    let splits = subsets.map(|subset| {
        let skipped = skipped.next().unwrap_or_default();
        split(&index, subset).with_skipped(messages(skipped))
    });
    let more = warnings.len().saturating_sub(MAXIMUM_WARNINGS);
    warnings.truncate(MAXIMUM_WARNINGS);
    let mut warnings = messages(warnings);
    if more > 0 {
        warnings.push(format!(
            "{more} more warning(s) about the dataset, which `loop-dml data check` lists"
        ));
    }
    Ok((splits, warnings))
}

/// Returns the warnings about images that are never used and about classes of nearly the same name. Images
/// that no list names are left out, since published datasets have thousands.
fn layout_warnings(index: &DatasetIndex) -> Vec<DatasetError> {
    let is_layout = |error: &&DatasetError| {
        error.is_warning()
            && !matches!(
                error.without_line(),
                DatasetError::List(ListError::Unlisted { .. })
            )
    };
    let mut warnings: Vec<DatasetError> = index.errors.iter().filter(is_layout).cloned().collect();
    warnings.extend(similar_classes(index));
    warnings
}

/// Returns the errors of images that are broken links in the class folders of a subset.
fn broken_links(index: &DatasetIndex, subset: Subset) -> Vec<DatasetError> {
    let links = index.errors.iter().filter_map(|error| match error {
        DatasetError::Folder(FolderError::NotAFile { path }) if may_be_image(path) => {
            Some((path.parent(), error))
        }
        _ => None,
    });
    let links: Vec<_> = links.collect();
    if links.is_empty() {
        return Vec::new();
    }
    let images = index.classes(subset).iter().flat_map(|class| &class.images);
    let folders: HashSet<_> = images.map(|image| image.path.parent()).collect();
    let of_subset = links
        .into_iter()
        .filter(|(folder, _)| folders.contains(folder));
    of_subset.map(|(_, error)| error.clone()).collect()
}

fn messages(errors: Vec<DatasetError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Refuses an index with errors, except for warnings, and for missing images if broken images are skipped.
fn accept(index: &DatasetIndex, broken: BrokenImages) -> Result<(), DatasetError> {
    let refused: Vec<&DatasetError> = index
        .errors
        .iter()
        .filter(|error| match error.without_line() {
            warning if warning.is_warning() => false,
            DatasetError::List(ListError::ImageMissing { .. }) => broken == BrokenImages::Fail,
            DatasetError::Folder(FolderError::NotAFile { path }) if may_be_image(path) => {
                broken == BrokenImages::Fail
            }
            _ => true,
        })
        .collect();
    match refused.split_first() {
        Some((first, more)) => Err((*first).clone().and_more(more.len())),
        None => Ok(()),
    }
}

/// Returns how classes with one image are treated.
pub(super) fn single_image_classes(source: &DatasetConfig) -> SingleImageClasses {
    match source {
        DatasetConfig::Folder(keys) => keys.single_image_classes,
        DatasetConfig::Manifest(keys) => keys.single_image_classes,
        DatasetConfig::Embeddings(keys) => keys.single_image_classes,
        _ => SingleImageClasses::Refuse,
    }
}
