//! How the steps of a training differ: frozen parts and the draws of dropout.

use crate::config::Config;
use crate::data::random::{Purpose, stream};
use crate::model::{OtherRows, Precision, TrainStepOptions};

/// The options of every training step as a function of its epoch and batch, so that a resumed run
/// equals the uninterrupted one.
#[derive(Debug, Clone)]
pub struct TrainStepSchedule {
    seed: u64,
    freeze_backbone_epochs: usize,
    recompute: bool,
    precision: Precision,
}

impl TrainStepSchedule {
    /// The schedule of a configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            seed: config.training.seed,
            freeze_backbone_epochs: config.training.freeze_backbone_epochs,
            recompute: config.training.gradient_checkpointing,
            precision: config.training.precision,
        }
    }

    /// The options for the batch of images `indices` in `epoch`, counted from 1. A process that embeds only some rows
    /// of it adds which, for dropout and batch norm.
    pub fn options(&self, epoch: usize, indices: &[usize]) -> TrainStepOptions {
        let batch = fingerprint(indices) as usize;
        TrainStepOptions {
            draws: stream(Purpose::Dropout, self.seed, epoch, batch),
            freeze_backbone: epoch <= self.freeze_backbone_epochs,
            recompute: self.recompute,
            precision: self.precision,
            other_rows: OtherRows::default(),
            whole_batch: None,
        }
    }
}

/// A hash (FNV-1a) that distinguishes the batches of an epoch.
fn fingerprint(indices: &[usize]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = indices.iter().flat_map(|&i| (i as u64).to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    fn schedule(seed: u64) -> TrainStepSchedule {
        let mut config = Config::default();
        config.training.seed = seed;
        config.training.freeze_backbone_epochs = 2;
        TrainStepSchedule::new(&config)
    }

    #[test]
    fn backbone_is_frozen_for_the_first_epochs() {
        let frozen = [1, 2, 3, 4].map(|epoch| schedule(1).options(epoch, &[0]).freeze_backbone);
        assert_eq!(frozen, [true, true, false, false]);
    }

    #[test]
    fn draws_depend_only_on_seed_epoch_and_batch() {
        let draw =
            |seed, epoch, batch: &[usize]| schedule(seed).options(epoch, batch).draws.next_u64();
        let one = draw(1, 1, &[4, 5]);
        assert_eq!(draw(1, 1, &[4, 5]), one);
        for other in [
            draw(2, 1, &[4, 5]),
            draw(1, 2, &[4, 5]),
            draw(1, 1, &[5, 4]),
            draw(1, 1, &[4, 6]),
        ] {
            assert_ne!(other, one);
        }
    }
}
