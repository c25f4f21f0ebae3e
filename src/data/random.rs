//! Random streams that depend only on their purpose, seed and position. Draws of one worker, epoch or
//! image do not change those of another.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The purpose of a stream. Two purposes with the same seed never share numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The shape of a synthetic class (class, 0).
    SyntheticClass = 1,
    /// One synthetic image (class, instance).
    SyntheticImage = 2,
    /// The batches of an epoch (epoch, 0).
    Batches = 3,
    /// The augmentation of an image (epoch, position in the epoch).
    Augmentation = 4,
    /// The training classes of a dataset without a split (0, 0).
    ClassSplit = 5,
    /// The features that dropout removes (epoch, a hash of the batch).
    Dropout = 6,
    /// The validation classes (0, 0).
    HoldOut = 7,
}

/// Returns the stream of `purpose` with `seed` for the pair (a, b).
pub(crate) fn stream(purpose: Purpose, seed: u64, a: usize, b: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key
        .chunks_exact_mut(8)
        .zip([purpose as u64, seed, a as u64, b as u64])
    {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngExt;

    use super::*;

    #[test]
    fn streams_of_different_keys_differ_and_of_equal_keys_agree() {
        let draw = |purpose, seed, a, b| stream(purpose, seed, a, b).random::<u64>();
        let mut seen = HashSet::new();
        for purpose in [Purpose::Batches, Purpose::Augmentation] {
            for (seed, a, b) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)] {
                assert_eq!(draw(purpose, seed, a, b), draw(purpose, seed, a, b));
                assert!(seen.insert(draw(purpose, seed, a, b)));
            }
        }
    }
}
