//! The positives and the negatives of each anchor in one ascending order.

use burn::tensor::{Bool, FloatDType, IndexingUpdateOp, Int, Tensor, backend::Backend};

/// The positives and the negatives of each anchor in ascending order, \[A, Kp + Kn\].
pub(super) struct Ranked<B: Backend> {
    /// The values in this order; `f32::MAX` for invalid entries.
    pub(super) values: Tensor<B, 2>,
    /// The columns in this order: positives are 0 to Kp − 1, negatives follow.
    columns: Tensor<B, 2, Int>,
    /// 1 for a valid positive, else 0, in this order.
    pub(super) is_positive: Tensor<B, 2>,
    /// 1 for a valid negative, else 0, in this order.
    pub(super) is_negative: Tensor<B, 2>,
}

impl<B: Backend> Ranked<B> {
    /// Sorts \[A, Kp\] positives and \[A, Kn\] negatives, without gradient.
    pub(super) fn new(
        positives: Tensor<B, 2>,
        positive_mask: Tensor<B, 2, Bool>,
        negatives: Tensor<B, 2>,
        negative_mask: Tensor<B, 2, Bool>,
    ) -> Self {
        // Of the type of the values, which may be f64.
        let dtype: FloatDType = positives.dtype().into();
        let [flags_of_positives, flags_of_negatives] =
            [&positive_mask, &negative_mask].map(|mask| mask.clone().float().cast(dtype));
        let is_positive = Tensor::cat(
            vec![flags_of_positives.clone(), flags_of_negatives.zeros_like()],
            1,
        );
        let is_negative = Tensor::cat(vec![flags_of_positives.zeros_like(), flags_of_negatives], 1);
        let values = Tensor::cat(
            vec![
                positives.mask_fill(positive_mask.bool_not(), f32::MAX),
                negatives.mask_fill(negative_mask.bool_not(), f32::MAX),
            ],
            1,
        );
        let (values, columns) = values.sort_with_indices(1);
        Self {
            values,
            is_positive: is_positive.gather(1, columns.clone()),
            is_negative: is_negative.gather(1, columns.clone()),
            columns,
        }
    }

    /// Moves values from the ascending order to the columns they belong to.
    pub(super) fn at_columns(&self, values: Tensor<B, 2>) -> Tensor<B, 2> {
        let zeros = values.zeros_like();
        zeros.scatter(1, self.columns.clone(), values, IndexingUpdateOp::Add)
    }
}
