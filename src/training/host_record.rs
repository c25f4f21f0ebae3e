//! Records on the host.
//!
//! Burn writes checkpoints in separate threads, and its records hold tensors on the device. Burn 0.21's
//! fusion cannot read a tensor in a thread other than the one that computed it (burn issues 4947, 4347).
//! So the training thread reads the tensors, and the record holds their values.

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

    /// Uploads the tensors to `device` in this thread.
    ///
    /// Burn's Learner restores to the backend's default device, and CubeCL 0.10 cannot move tensors from
    /// there to another one.
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
