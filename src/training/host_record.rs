//! Records that hold numbers of the host.
//!
//! Burn writes checkpoints in threads of their own, and a record holds tensors of the device. Burn
//! 0.21's fusion cannot read a tensor in another thread than the one that computed it (burn issues
//! 4947, 4347), so the training thread reads the tensors and hands over what it read.

use burn::record::{FullPrecisionSettings, PrecisionSettings, Record};
use burn::tensor::backend::Backend;

/// A record at full precision on the host.
pub struct HostRecord<B: Backend, R: Record<B>> {
    item: R::Item<FullPrecisionSettings>,
}

impl<B: Backend, R: Record<B>> HostRecord<B, R> {
    /// Reads a record's tensors in this thread.
    pub fn read(record: R) -> Self {
        Self {
            item: record.into_item(),
        }
    }

    /// The record, its tensors uploaded to `device` by this thread.
    ///
    /// Burn's Learner restores to the backend's default device, from which CubeCL 0.10 cannot move
    /// tensors to another one.
    pub fn upload(self, device: &B::Device) -> R {
        R::from_item(self.item, device)
    }
}

impl<B: Backend, R: Record<B>> Record<B> for HostRecord<B, R>
where
    R::Item<FullPrecisionSettings>: Send,
{
    type Item<S: PrecisionSettings> = R::Item<FullPrecisionSettings>;

    fn into_item<S: PrecisionSettings>(self) -> Self::Item<S> {
        self.item
    }

    fn from_item<S: PrecisionSettings>(item: Self::Item<S>, _: &B::Device) -> Self {
        Self { item }
    }
}
