//! From a configured dataset to batches on the device.
//!
//! [`open`] gives two [`Split`]s of images with labels; a [`TrainLoader`] walks the training split
//! in P×K batches ([`PairSampler`]) of randomly transformed images ([`Transform`]), a
//! [`SplitLoader`] walks a split in order. What a user can get wrong is a [`DataError`].

mod batches;
mod embedding_file;
mod error;
mod fashion_mnist;
mod folder;
mod image_file;
mod load_failure;
mod loader;
mod parallel;
mod prefetch;
mod random;
mod sampler;
mod split;
mod synthetic;
mod transform;

pub use batches::ImageBatch;
pub use embedding_file::{EmbeddingFileError, Embeddings, check_free, write_matrix};
pub use error::DataError;
pub use image_file::{check_image_file, read_image_file};
pub use load_failure::LoadFailure;
pub use loader::{Schedule, SplitLoader, TrainLoader};
pub use parallel::worker_count;
pub use sampler::PairSampler;
pub use split::{Images, LabelledImage, Split, Splits};
pub use transform::Transform;

use crate::config::{DataConfig, DatasetConfig};

/// Opens the configured dataset: finds the images of both splits and refuses what could not be
/// trained on or measured, before any time is spent.
///
/// # Errors
/// The first mistake found in the configuration's dataset keys, the folders or the files.
pub fn open(config: &DataConfig) -> Result<Splits, DataError> {
    let workers = worker_count(config.loading.workers);
    let splits = match &config.source {
        DatasetConfig::Synthetic(keys) => synthetic::open(keys, workers),
        DatasetConfig::FashionMnist(keys) => fashion_mnist::open(keys),
        DatasetConfig::Folder(keys) => folder::open(keys, workers),
    }?;
    splits.train.check()?;
    splits.test.check()?;
    Ok(splits)
}
