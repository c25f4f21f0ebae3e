//! Embedding a set of images.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::backend::Backend;

use super::error::InferenceError;
use super::source::{EmbeddingNetwork, EmbeddingSource};
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::{
    DataError, DatasetError, EpochSchedule, ImageSet, LoaderErrors, SplitLoader, Transform,
};
use crate::embedding_file::NamedEmbeddings;
use crate::progress::{Monitor, Unit};
use crate::queued_read::{QueuedRead, read_values};

/// Returns the embeddings of `images` in their order, and a message for each image that was skipped.
///
/// Images are loaded batch by batch; only embeddings stay in memory.
///
/// # Errors
/// If the network cannot be read, if an image cannot be read and `data.broken_images` does not skip
/// it, if an embedding is not finite, or if a stop was requested.
pub fn embed<B: Backend>(
    source: &EmbeddingSource,
    images: &ImageSet,
    compute: &ComputeContext<B>,
    monitor: Monitor<'_>,
) -> Result<(NamedEmbeddings, Vec<String>), InferenceError> {
    let network = source.network(compute, monitor)?;
    embed_with(&network, source.config(), images, compute, monitor)
}

/// Embeds as [`embed()`] does with a network that was loaded, and the preprocessing of `config`.
///
/// # Errors
/// As [`embed()`], except that the network is loaded.
pub fn embed_with<B: Backend>(
    network: &EmbeddingNetwork<B>,
    config: &Config,
    images: &ImageSet,
    compute: &ComputeContext<B>,
    monitor: Monitor<'_>,
) -> Result<(NamedEmbeddings, Vec<String>), InferenceError> {
    let takes_features = network.takes_features();
    if takes_features != images.split.feature_dim().is_some() {
        return Err(InferenceError::Input {
            source_name: "the network".into(),
            takes_features,
        });
    }
    let failure = LoaderErrors::default();
    let loader = SplitLoader::<B>::new(
        Arc::new(images.split.clone()),
        Transform::new(&config.data.transform)?,
        config.evaluation.batch_size,
        EpochSchedule::Always,
        &config.data.loading,
        failure.clone(),
        compute.image_upload(),
    );
    let mut embedded = NamedEmbeddings {
        classes: images.classes.clone(),
        ..NamedEmbeddings::default()
    };
    // The rows of a batch are read after the next batch is queued, so that the device always has work.
    let mut last = None;
    let task = monitor.task("embedding", Some(images.labels.len()), Unit::Images);
    task.check()?;
    for batch in loader.iter() {
        for &i in &batch.indices {
            embedded.labels.push(images.labels[i]);
            embedded.paths.push(images.split.image_name(i));
        }
        let rows = network.embed(batch.images, config.evaluation.mirror, &task)?;
        embedded.dim = rows.dims()[1];
        add_rows(&mut embedded, last.replace(read_values(rows)))?;
    }
    add_rows(&mut embedded, last)?;
    task.finish();
    if let Some(error) = failure.take() {
        return Err(DataError::from(error).into());
    }
    let mut skipped: Vec<String> = images.skipped.iter().map(ToString::to_string).collect();
    skipped.extend(failure.skipped());
    if embedded.labels.is_empty() {
        let (path, skipped) = (images.path.clone(), skipped.len());
        let error = DatasetError::NoImages { path, skipped };
        return Err(DataError::from(error).into());
    }
    Ok((embedded, skipped))
}

/// Waits for the rows of a batch and adds them.
///
/// # Errors
/// If a number is not finite.
fn add_rows(
    embedded: &mut NamedEmbeddings,
    read: Option<QueuedRead<Vec<f32>>>,
) -> Result<(), InferenceError> {
    let rows = read.map(QueuedRead::wait).unwrap_or_default();
    if rows.iter().any(|value| !value.is_finite()) {
        return Err(InferenceError::BrokenNetwork);
    }
    embedded.rows.extend(rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::cancellation::CancellationToken;
    use crate::data::config::{BrokenImages, LoadingConfig};
    use crate::data::{ImageSelection, NO_CLASS, UploadMode};
    use crate::inference::export::ExportOutput;
    use crate::model::{ConvAlgorithm, EmbedderConfig};
    use crate::progress::NoProgress;
    use crate::progress::test_observer::RecordingObserver;

    type B = burn_flex::Flex;

    const CPU: ComputeContext<B> = ComputeContext {
        device: burn_flex::FlexDevice,
        conv: ConvAlgorithm::Im2col,
        in_process: true,
        upload: UploadMode::Normalized,
    };

    /// Returns an untrained embedder and three images, the second of which is corrupt.
    fn source_and_images(folder: &Path) -> (EmbeddingSource, ImageSet) {
        let config = Config::default();
        let embedder = EmbedderConfig::from(&config.model).init::<B>(&CPU.device);
        let path = folder.join("model.safetensors");
        let output = ExportOutput::new(&path).unwrap();
        output.write(&embedder, &config, None).unwrap();

        let images = folder.join("images");
        std::fs::create_dir(&images).unwrap();
        for name in ["0.png", "1.png", "2.png"] {
            let picture = image::RgbImage::from_pixel(40, 40, image::Rgb([90, 30, 200]));
            picture.save(images.join(name)).unwrap();
        }
        let broken = images.join("1.png");
        let mut bytes = std::fs::read(&broken).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&broken, bytes).unwrap();

        let mut source = EmbeddingSource::open(&path, None).unwrap();
        source.config_mut().evaluation.batch_size = 1;
        let loading = LoadingConfig::default();
        let images = ImageSet::open(
            &images,
            &ImageSelection::default(),
            &loading,
            Monitor::none(),
        );
        (source, images.unwrap())
    }

    #[test]
    fn rows_match_their_images_if_one_is_skipped() {
        let folder = TempDir::new().unwrap();
        let (mut source, images) = source_and_images(folder.path());
        let embedded = |source: &EmbeddingSource| embed(source, &images, &CPU, Monitor::none());
        let message = embedded(&source).unwrap_err().to_string();
        assert!(message.contains("1.png"), "{message}");

        source.config_mut().data.loading.broken_images = BrokenImages::Skip;
        let (rows, skipped) = embedded(&source).unwrap();
        assert_eq!(rows.paths, ["0.png", "2.png"]);
        assert_eq!(rows.labels, [NO_CLASS; 2]);
        assert_eq!(rows.rows.len(), 2 * rows.dim);
        assert_eq!(rows.rows[..rows.dim], rows.rows[rows.dim..]);
        assert_eq!(skipped.len(), 1);
    }

    #[test]
    fn cancellation_ends_the_embedding() {
        let folder = TempDir::new().unwrap();
        let (source, images) = source_and_images(folder.path());
        let token = CancellationToken::new();
        token.cancel();
        let result = embed(&source, &images, &CPU, Monitor::new(&token, &NoProgress));
        assert!(matches!(result, Err(InferenceError::Cancelled)));
    }

    #[test]
    fn images_are_counted() {
        let folder = TempDir::new().unwrap();
        let (mut source, images) = source_and_images(folder.path());
        source.config_mut().data.loading.broken_images = BrokenImages::Skip;
        let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
        embed(&source, &images, &CPU, Monitor::new(&token, &observer)).unwrap();
        // One of the three images is skipped.
        assert_eq!(observer.task("embedding"), Some((2, Some(3), true)));
    }
}
