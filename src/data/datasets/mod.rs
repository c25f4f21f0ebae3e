//! The datasets, one file each: from the lists and folders on disk to the images of both splits.

mod cars196;
mod class_policy;
mod collector;
mod cub200;
mod fashion_mnist;
mod files_on_disk;
mod folder;
mod image_files;
pub(super) mod image_set;
mod in_shop;
pub(crate) mod index;
mod list_file;
mod manifest;
mod mat_file;
pub(crate) mod published;
mod sop;
mod synthetic;
#[cfg(test)]
#[path = "tests/tree.rs"]
mod test_tree;

use super::{DataError, Split, Splits, worker_count};
use crate::cancellation::CancellationToken;
use crate::data::config::{BrokenImages, DataConfig, DatasetConfig, SingleImageClasses};
use class_policy::apply_single_image_policy;
use image_files::{exclude_broken, split};
use index::{DatasetIndex, Subset};

/// What the lists and folders of a dataset say; nothing for those whose images are in memory.
///
/// # Errors
/// When the root or a list is not there or not in its format. Smaller mistakes are in
/// [`DatasetIndex::faults`].
pub(crate) fn list(source: &DatasetConfig) -> Result<Option<DatasetIndex>, DataError> {
    match source {
        DatasetConfig::Synthetic(_) | DatasetConfig::FashionMnist(_) => return Ok(None),
        DatasetConfig::Cars196(keys) => cars196::list(keys),
        DatasetConfig::Cub200(keys) => cub200::list(keys),
        DatasetConfig::Sop(keys) => sop::list(keys),
        DatasetConfig::InShop(keys) => in_shop::list(keys),
        DatasetConfig::Folder(keys) => folder::list(keys),
        DatasetConfig::Manifest(keys) => manifest::list(keys),
    }
    .map(Some)
}

/// Both splits of the configured dataset, neither yet checked for what it needs to be trained on or
/// measured.
pub(super) fn open(
    config: &DataConfig,
    cancellation: &CancellationToken,
) -> Result<Splits, DataError> {
    let workers = worker_count(config.loading.workers);
    match &config.source {
        DatasetConfig::Synthetic(keys) => synthetic::open(keys, workers),
        DatasetConfig::FashionMnist(keys) => fashion_mnist::open(keys),
        source => {
            let index = list(source)?.expect("all other datasets are listed");
            let (splits, warnings) =
                splits([Subset::Train, Subset::Test], index, config, cancellation)?;
            let [train, test] = splits;
            Ok(Splits {
                train,
                test,
                warnings,
            })
        }
    }
}

/// The test split alone: a finished run is measured without its training images.
pub(super) fn open_test(
    config: &DataConfig,
    cancellation: &CancellationToken,
) -> Result<(Split, Vec<DataError>), DataError> {
    match list(&config.source)? {
        None => open(config, cancellation).map(|splits| (splits.test, splits.warnings)),
        Some(index) => {
            let ([test], warnings) = splits([Subset::Test], index, config, cancellation)?;
            Ok((test, warnings))
        }
    }
}

/// The splits of some subsets, with what is odd about the dataset.
fn splits<const N: usize>(
    subsets: [Subset; N],
    mut index: DatasetIndex,
    config: &DataConfig,
    cancellation: &CancellationToken,
) -> Result<([Split; N], Vec<DataError>), DataError> {
    let broken = config.loading.broken_images;
    let mut warnings = accepted(&index, broken)?;
    // Who only measures need not know of the training images.
    let concerned = |warning: &DataError| match warning {
        DataError::NotPublished { split, .. } => {
            subsets.iter().any(|subset| subset.name() == *split)
        }
        _ => true,
    };
    warnings.extend(published::compare(&index).into_iter().filter(concerned));
    let workers = worker_count(config.loading.workers);
    let mut left_out = Vec::with_capacity(N);
    for subset in subsets {
        let classes = match subset {
            Subset::Train => &mut index.train,
            Subset::Test => &mut index.test,
        };
        left_out.push(exclude_broken(classes, broken, workers, cancellation)?);
    }
    // Classes may have come down to one image only now.
    apply_single_image_policy(&mut index, single_image_classes(&config.source));
    accepted(&index, broken)?;
    let mut left_out = left_out.into_iter();
    let splits = subsets.map(|subset| {
        let left_out = left_out.next().unwrap_or_default();
        split(&index, subset).with_left_out(left_out)
    });
    Ok((splits, warnings))
}

/// Refuses a index with faults, save those that only concern files which are never used, and
/// missing images where broken ones are skipped, which are given.
fn accepted(index: &DatasetIndex, broken: BrokenImages) -> Result<Vec<DataError>, DataError> {
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    for fault in &index.faults {
        match fault.unlocated() {
            DataError::Unlisted { .. } => {}
            DataError::ImageMissing { .. } if broken == BrokenImages::Skip => {
                warnings.push(fault.clone());
            }
            _ => refused.push(fault),
        }
    }
    match refused.split_first() {
        Some((first, more)) => Err((*first).clone().and_more(more.len())),
        None => Ok(warnings),
    }
}

/// What becomes of classes with one image.
pub(crate) fn single_image_classes(source: &DatasetConfig) -> SingleImageClasses {
    match source {
        DatasetConfig::Folder(keys) => keys.single_image_classes,
        DatasetConfig::Manifest(keys) => keys.single_image_classes,
        _ => SingleImageClasses::Refuse,
    }
}
