//! The datasets, one file each: from the lists and folders on disk to the images of both splits.

mod cars196;
mod class_policy;
mod collector;
mod cub200;
mod fashion_mnist;
mod files_on_disk;
mod folder;
mod image_files;
mod in_shop;
mod list_file;
pub(crate) mod listing;
mod manifest;
mod mat_file;
pub(crate) mod published;
mod sop;
mod synthetic;
#[cfg(test)]
#[path = "tests/tree.rs"]
mod test_tree;

use super::parallel::Interrupted;
use super::{DataError, Split, Splits, worker_count};
use crate::config::{BrokenImages, DataConfig, DatasetConfig, SingleImageClasses};
use class_policy::treat_single_images;
use listing::{Listing, Side};

/// What the lists and folders of a dataset say; nothing for those whose images are in memory.
///
/// # Errors
/// When the root or a list is not there or not in its format. Smaller mistakes are in
/// [`Listing::faults`].
pub(crate) fn list(source: &DatasetConfig) -> Result<Option<Listing>, DataError> {
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
pub(super) fn open(config: &DataConfig, interrupted: Interrupted) -> Result<Splits, DataError> {
    let workers = worker_count(config.loading.workers);
    match &config.source {
        DatasetConfig::Synthetic(keys) => synthetic::open(keys, workers),
        DatasetConfig::FashionMnist(keys) => fashion_mnist::open(keys),
        source => {
            let listing = list(source)?.expect("all other datasets are listed");
            let listing = treated(listing, source);
            let warnings = accepted(&listing, config.loading.broken_images)?;
            let split = |side| split(&listing, side, config, workers, interrupted);
            Ok(Splits {
                train: split(Side::Train)?,
                test: split(Side::Test)?,
                warnings,
            })
        }
    }
}

/// The test split alone: a finished run is measured without its training images.
pub(super) fn open_test(
    config: &DataConfig,
    interrupted: Interrupted,
) -> Result<(Split, Vec<DataError>), DataError> {
    let workers = worker_count(config.loading.workers);
    match list(&config.source)? {
        None => open(config, interrupted).map(|splits| (splits.test, splits.warnings)),
        Some(listing) => {
            let listing = treated(listing, &config.source);
            let warnings = accepted(&listing, config.loading.broken_images)?;
            let test = split(&listing, Side::Test, config, workers, interrupted)?;
            Ok((test, warnings))
        }
    }
}

/// The split of a side, with the images that are missing among those left out.
fn split(
    listing: &Listing,
    side: Side,
    config: &DataConfig,
    workers: usize,
    interrupted: Interrupted,
) -> Result<Split, DataError> {
    let broken = config.loading.broken_images;
    image_files::split(listing, side, broken, workers, interrupted)
}

/// Refuses a listing with faults, save those that only concern files which are never used, and
/// missing images where broken ones are skipped; gives what is odd about the rest.
fn accepted(listing: &Listing, broken: BrokenImages) -> Result<Vec<DataError>, DataError> {
    let skipped = |fault: &DataError| {
        broken == BrokenImages::Skip && matches!(fault.unlocated(), DataError::ImageMissing { .. })
    };
    let faults = listing.faults.iter();
    let mut faults = faults.filter(|fault| !matches!(fault, DataError::Unlisted { .. }));
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    for fault in &mut faults {
        match skipped(fault) {
            true => warnings.push(fault.clone()),
            false => refused.push(fault),
        }
    }
    if let Some((first, more)) = refused.split_first() {
        return Err((*first).clone().and_more(more.len()));
    }
    warnings.extend(published::compare(listing));
    Ok(warnings)
}

/// What becomes of classes with one image.
pub(crate) fn single_image_classes(source: &DatasetConfig) -> SingleImageClasses {
    match source {
        DatasetConfig::Folder(keys) => keys.single_image_classes,
        DatasetConfig::Manifest(keys) => keys.single_image_classes,
        _ => SingleImageClasses::Refuse,
    }
}

fn treated(mut listing: Listing, source: &DatasetConfig) -> Listing {
    treat_single_images(&mut listing, single_image_classes(source));
    listing
}
