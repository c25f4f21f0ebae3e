//! Training with several processes, each of which has a part of every batch.
//!
//! A step (docs/distributed.md): each process embeds its rows of the batch; embeddings are gathered; every process
//! computes the loss of the whole batch and keeps the gradient of the rows that it embedded; gradients of the parameters are
//! summed; every process takes the same step of the optimiser.

mod agreement;
mod batch_sharing;
mod gradients;
mod running_statistics;
mod start;
#[cfg(test)]
mod tests;

pub(super) use agreement::{check_group, check_parameters, check_same_run, check_same_schedule};
pub(super) use batch_sharing::BatchSharing;
pub(super) use start::{PrivateFolder, receive_files, send_files, share_best, share_state};
