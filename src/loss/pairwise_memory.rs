//! The memory of a batch's pairwise matrices, which grows with the square of its size.

/// The number of N × N matrices in single precision that the forward and backward pass of a loss needs at
/// its peak. Measured for all losses and negatives with 1,024 and 2,048 embeddings: at most 32.
const MATRICES: u64 = 32;

/// The most embeddings N of a batch whose loss is computed outside of training: its matrices take 8 GiB.
pub const MAXIMUM_BATCH: usize = 8192;

/// Returns the memory in GiB, rounded, of the N × N matrices of a batch of N embeddings.
pub fn pairwise_gib(embeddings: usize) -> u64 {
    const GIB: u128 = 1 << 30;
    let count = embeddings as u128;
    let bytes = u128::from(MATRICES) * size_of::<f32>() as u128 * count * count;
    u64::try_from((bytes + GIB / 2) / GIB).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_the_square_of_the_batch() {
        assert_eq!(pairwise_gib(MAXIMUM_BATCH), 8);
        assert_eq!(pairwise_gib(60_000), 429);
        assert_eq!(pairwise_gib(usize::MAX), u64::MAX);
    }
}
