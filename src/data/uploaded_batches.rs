//! The batches of a job, loaded by workers and uploaded to a device.

use std::sync::Arc;
use std::thread;

use burn::tensor::StreamId;
use burn::tensor::backend::Backend;

use super::batches::{HostBatch, UploadedBatch};
use super::config::LoadingConfig;
use super::item_ahead::ItemAhead;
use super::parallel::{warn_of_few_threads, worker_count};
use super::prefetch::{BatchJob, Prefetcher, Stopper};
use super::upload::{ImageUpload, UploadMode};

/// A batch, or why it cannot be loaded.
type Uploaded<B, E> = Result<UploadedBatch<B>, E>;

/// The batches of a job on a device, in order. Batches without an image are left out. It ends after the first batch
/// that fails.
///
/// # Threads
/// With [`UploadMode::BytesAhead`], a thread uploads a batch ahead: a copy on the host, and the transfer. It does so on
/// the stream of the thread that takes the batches (CubeCL 0.10 has a stream for each thread). On another stream, CubeCL
/// would write a later batch to the memory of one whose tensor was dropped, though the device may not have read it yet.
/// Only the operations of one stream are executed in their order.
///
/// The operations on a batch are left to the thread that takes it.
pub(super) struct UploadedBatches<J: BatchJob, B: Backend> {
    batches: Box<dyn Iterator<Item = Uploaded<B, J::Error>> + Send>,
    stopper: Stopper<J>,
    upload: ImageUpload<B>,
    /// The stream of the thread that takes the batches.
    stream: StreamId,
}

impl<J, B> UploadedBatches<J, B>
where
    J: BatchJob<Batch = HostBatch, Error: 'static>,
    B: Backend,
{
    /// Starts the workers. The current thread must be the one that takes the batches.
    pub(super) fn new(job: Arc<J>, loading: &LoadingConfig, upload: &ImageUpload<B>) -> Self {
        let workers = worker_count(loading.workers);
        let loaded = Prefetcher::new(job, workers, loading.prefetch);
        let stopper = loaded.stopper();
        let loaded = loaded.filter(|batch| !batch.as_ref().is_ok_and(HostBatch::is_empty));
        let (device, stream) = (upload.device.clone(), StreamId::current());
        let uploaded =
            loaded.map(move |batch| batch.map(|batch| stream.executes(|| batch.upload(&device))));
        let batches: Box<dyn Iterator<Item = _> + Send> = match upload.mode {
            UploadMode::Normalized | UploadMode::Bytes => Box::new(uploaded),
            UploadMode::BytesAhead => match ItemAhead::new(thread::Builder::new(), uploaded) {
                Ok(ahead) => Box::new(ahead),
                Err((uploaded, error)) => {
                    warn_of_few_threads(0, 1, &error);
                    Box::new(uploaded)
                }
            },
        };
        Self {
            batches,
            stopper,
            upload: upload.clone(),
            stream,
        }
    }

    /// Whether the current thread takes these batches, for this device.
    pub(super) fn are_for(&self, upload: &ImageUpload<B>) -> bool {
        self.stream == StreamId::current() && self.upload.device == upload.device
    }
}

impl<J: BatchJob, B: Backend> Iterator for UploadedBatches<J, B> {
    type Item = Uploaded<B, J::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

impl<J: BatchJob, B: Backend> Drop for UploadedBatches<J, B> {
    fn drop(&mut self) {
        // The thread may be waiting for a batch.
        self.stopper.stop();
    }
}
