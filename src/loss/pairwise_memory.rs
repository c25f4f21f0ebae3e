//! The memory of a batch's pairwise matrices, which grows with the square of its size.

use crate::negatives::NegativesConfig;
use crate::setting::{Checked, SettingError};

/// The number of N × N matrices in single precision that the forward and backward pass of a loss needs at
/// its peak. Measured for all losses and negatives with 1,024 and 2,048 embeddings: at most 32.
const MATRICES: u64 = 32;

/// The most embeddings N of a batch whose loss is computed outside of training: its matrices take 8 GiB.
pub const MAXIMUM_BATCH: usize = 8192;

/// Returns the memory in GiB, rounded, of the N × N matrices of a batch of N embeddings. If LoOp compares all pairs of
/// a class, N is the number of their ends.
pub fn pairwise_gib(embeddings: usize) -> u64 {
    const GIB: u128 = 1 << 30;
    let bytes = pairwise_bytes(embeddings);
    u64::try_from(bytes.saturating_add(GIB / 2) / GIB).unwrap_or(u64::MAX)
}

/// [`pairwise_gib`] in MiB, rounded up.
pub fn pairwise_mib(embeddings: usize) -> u64 {
    u64::try_from(pairwise_bytes(embeddings).div_ceil(1 << 20)).unwrap_or(u64::MAX)
}

fn pairwise_bytes(embeddings: usize) -> u128 {
    let count = embeddings as u128;
    let numbers = u128::from(MATRICES).saturating_mul(count * count);
    numbers.saturating_mul(size_of::<f32>() as u128)
}

/// The most pairs of a batch that are compared if all pairs of a class are: as many ends as [`MAXIMUM_BATCH`].
const MAXIMUM_PAIRS: usize = MAXIMUM_BATCH / 2;

/// Checks that a batch whose classes have these numbers of images has few enough pairs, if LoOp compares all pairs of
/// a class.
///
/// # Errors
/// If there are more than 4,096 pairs, whose ends are as many as the rows of the largest batch.
pub fn check_all_pairs(
    negatives: &NegativesConfig,
    class_sizes: impl Iterator<Item = usize>,
) -> Checked {
    let Some(pairs) = negatives.all_pairs(class_sizes) else {
        return Ok(());
    };
    if pairs <= MAXIMUM_PAIRS {
        return Ok(());
    }
    let reason = format!(
        "a batch has {pairs} pairs, but at most {MAXIMUM_PAIRS} are compared: their pairwise matrices take about {} \
         GiB; give fewer images per class, or negatives.pairs = \"consecutive\"",
        pairwise_gib(pairs.saturating_mul(2))
    );
    Err(SettingError::value("negatives.pairs", "all", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negatives::{LoopConfig, LoopPairs};

    #[test]
    fn pairs_are_limited_by_their_ends() {
        let all = NegativesConfig::Loop(LoopConfig {
            pairs: LoopPairs::All,
            ..LoopConfig::default()
        });
        let check = |negatives: &NegativesConfig, images: usize, classes: usize| {
            check_all_pairs(negatives, std::iter::repeat_n(images, classes))
        };
        assert_eq!(check(&all, 64, 2), Ok(()));
        assert_eq!(check(&all, 65, 2).unwrap_err().key(), "negatives.pairs");
        assert!(check(&all, usize::MAX, 2).is_err());
        assert_eq!(check(&NegativesConfig::default(), 65_536, 65_536), Ok(()));
    }

    #[test]
    fn memory_grows_with_the_square_of_the_batch() {
        assert_eq!(pairwise_gib(MAXIMUM_BATCH), 8);
        assert_eq!(pairwise_gib(60_000), 429);
        assert_eq!(pairwise_gib(usize::MAX), u64::MAX);
    }
}
