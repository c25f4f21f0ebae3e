//! A tensor as a strided view of a storage.

use burn::tensor::{DType, TensorData};

use super::error::PthError;

/// The most numbers of a tensor that repeats numbers (`torch.Tensor.expand`) and so has more than its storage.
/// The largest kernel of a backbone has 2.4 million.
const MAX_EXPANDED: usize = 1 << 24;

/// A tensor as a strided view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StridedTensor {
    /// The name of the storage in the file.
    pub(super) storage: String,
    pub(super) dtype: DType,
    /// The index of the first number in the storage.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// For each axis the distance of neighbours, in numbers.
    pub(super) strides: Vec<usize>,
}

impl StridedTensor {
    /// The numbers in row-major order; `bytes` are those of the storage.
    ///
    /// # Errors
    /// If the tensor reaches beyond the storage, or repeats numbers up to more than [`MAX_EXPANDED`]: it may
    /// be much larger than its file.
    pub(super) fn contiguous(&self, bytes: &[u8]) -> Result<TensorData, PthError> {
        let size = self.dtype.size();
        let stored = bytes.len() / size;
        let mut sides = self.shape.iter();
        let count = sides.try_fold(1, |count: usize, &side| count.checked_mul(side));
        let count = count.filter(|&count| {
            count <= stored.max(MAX_EXPANDED) && self.shape.len() == self.strides.len()
        });
        let count = count.ok_or(PthError::Bounds)?;
        if count == 0 {
            return Ok(self.data(Vec::new()));
        }
        let axes = self.shape.iter().zip(&self.strides);
        let last = axes
            .clone()
            .try_fold(self.offset, |last, (&side, &stride)| {
                last.checked_add(stride.checked_mul(side - 1)?)
            });
        if last.is_none_or(|last| last >= stored) {
            return Err(PthError::Bounds);
        }
        if self.is_row_major() {
            return Ok(self.data(bytes[self.offset * size..][..count * size].to_vec()));
        }
        // No index is beyond `last`: the sums below do not overflow.
        let indices = axes.fold(vec![self.offset], |starts: Vec<usize>, (&side, &stride)| {
            let along = |start: usize| (0..side).map(move |i| start + i * stride);
            starts.into_iter().flat_map(along).collect()
        });
        let mut values = Vec::with_capacity(count * size);
        for index in indices {
            values.extend_from_slice(&bytes[index * size..][..size]);
        }
        Ok(self.data(values))
    }

    /// The place of the numbers in the file and their shape, equal for tied tensors.
    pub(super) fn place(&self) -> String {
        let Self {
            storage,
            dtype,
            offset,
            shape,
            strides,
        } = self;
        format!("{storage} {dtype:?} {offset} {shape:?} {strides:?}")
    }

    /// Whether the numbers are stored in row-major order without gaps.
    fn is_row_major(&self) -> bool {
        let mut distance = 1;
        let mut axes = self.shape.iter().zip(&self.strides).rev();
        axes.all(|(&side, &stride)| {
            let follows = side == 1 || stride == distance;
            distance *= side;
            follows
        })
    }

    fn data(&self, values: Vec<u8>) -> TensorData {
        TensorData::from_bytes_vec(values, self.shape.clone(), self.dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(offset: usize, shape: &[usize], strides: &[usize]) -> StridedTensor {
        StridedTensor {
            storage: "0".into(),
            dtype: DType::F32,
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    /// The numbers of a tensor in a storage of the numbers 1 to 6.
    fn values(offset: usize, shape: &[usize], strides: &[usize]) -> Option<Vec<f32>> {
        let stored: Vec<u8> = (1..=6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let data = tensor(offset, shape, strides).contiguous(&stored).ok()?;
        Some(data.into_vec().unwrap())
    }

    #[test]
    fn numbers_are_in_row_major_order() {
        let rows = |strides: &[usize]| values(0, &[2, 3], strides);
        assert_eq!(rows(&[3, 1]).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(rows(&[1, 2]).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(values(0, &[], &[]).unwrap(), [1.0]);
    }

    #[test]
    fn part_of_a_larger_storage_is_read() {
        assert_eq!(values(2, &[3], &[1]).unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(values(1, &[3], &[2]).unwrap(), [2.0, 4.0, 6.0]);
        assert_eq!(values(1, &[2, 2], &[3, 1]).unwrap(), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(values(4, &[0], &[1]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn expanded_tensors_repeat_their_numbers() {
        assert_eq!(values(2, &[4], &[0]).unwrap(), [3.0; 4]);
        let rows = values(1, &[3, 3], &[0, 1]).unwrap();
        assert_eq!(rows, [2.0, 3.0, 4.0].repeat(3));
    }

    #[test]
    fn impossible_shapes_strides_and_offsets_are_refused() {
        for (offset, shape, strides) in [
            (0, &[MAX_EXPANDED + 1][..], &[0][..]),
            (0, &[1 << 40], &[0]),
            (0, &[1 << 40, 1 << 40], &[0, 0]),
            (0, &[2, 3], &[usize::MAX, 1]),
            (0, &[2, 3], &[usize::MAX, usize::MAX]),
            (0, &[2, 3], &[3]),
            // Every second number of a longer storage.
            (0, &[2, 3], &[6, 2]),
            (1, &[2, 3], &[3, 1]),
            (6, &[1], &[1]),
            (usize::MAX, &[2], &[1]),
        ] {
            let found = values(offset, shape, strides);
            assert_eq!(found, None, "{offset} {shape:?} {strides:?}");
        }
    }
}
