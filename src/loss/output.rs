//! The output of a loss: a value for each anchor, its reductions, and statistics of the batch.

use burn::tensor::{Bool, DataError, FloatDType, Tensor, TensorData, backend::Backend};

use super::hardest::Hardest;

/// The loss of each of A anchors, and statistics of the batch.
#[derive(Debug, Clone)]
pub struct LossOutput<B: Backend> {
    /// Loss of each anchor, \[A\]; 0 with gradient 0 for an anchor that is not counted.
    pub losses: Tensor<B, 1>,
    /// True for the anchors that have a positive and a negative, \[A\].
    pub counted: Tensor<B, 1, Bool>,
    /// True for the counted anchors with a loss above 0, \[A\]. Subnormal losses count as 0, which
    /// is what GPUs compute.
    pub active: Tensor<B, 1, Bool>,
    /// Number of positives and negatives of each anchor that have a gradient, \[A\]; 0 for an anchor
    /// that is not counted.
    pub mined: Tensor<B, 1>,
    /// Hardest positive of each anchor, \[A\]: its largest distance or smallest inner product; 0 for
    /// an anchor that is not counted.
    pub positive: Tensor<B, 1>,
    /// Hardest negative of each anchor, \[A\]: its smallest distance or largest inner product; 0 for
    /// an anchor that is not counted.
    pub negative: Tensor<B, 1>,
}

impl<B: Backend> LossOutput<B> {
    /// Creates the output from each anchor's loss and its number of mined comparisons, both
    /// \[A, 1\]. Values of anchors that are not counted are replaced by 0.
    pub(super) fn new(losses: Tensor<B, 2>, mined: Tensor<B, 2>, hardest: Hardest<B>) -> Self {
        let not_counted = hardest.counted.clone().bool_not();
        let masked = |values: Tensor<B, 2>| {
            values
                .mask_fill(not_counted.clone(), 0.0)
                .squeeze_dim::<1>(1)
        };
        let losses = masked(losses);
        Self {
            active: losses.clone().detach().greater_elem(f32::MIN_POSITIVE),
            losses,
            mined: masked(mined.detach()),
            positive: masked(hardest.positive.detach()),
            negative: masked(hardest.negative.detach()),
            counted: hardest.counted.squeeze_dim(1),
        }
    }

    /// Returns the sum of the losses over the anchors, \[1\].
    pub fn sum(&self) -> Tensor<B, 1> {
        self.losses.clone().sum()
    }

    /// Returns the mean of the losses over the counted anchors, \[1\]; 0 with gradient 0 if the batch
    /// has no counted anchor.
    pub fn mean(&self) -> Tensor<B, 1> {
        let anchors = count(self.counted.clone(), self.losses.dtype().into());
        self.sum() / anchors.clamp_min(1.0)
    }

    /// Returns the statistics of the batch as one tensor \[6\] without gradient, which
    /// [`LossStatistics::from_data`] decodes: one copy from the device.
    pub fn statistics(&self) -> Tensor<B, 1> {
        let dtype = self.losses.dtype().into();
        Tensor::cat(
            vec![
                self.sum().detach(),
                count(self.counted.clone(), dtype),
                count(self.active.clone(), dtype),
                self.mined.clone().sum(),
                self.positive.clone().detach().sum(),
                self.negative.clone().detach().sum(),
            ],
            0,
        )
    }
}

/// Returns the number of true entries, \[1\].
fn count<B: Backend>(mask: Tensor<B, 1, Bool>, dtype: FloatDType) -> Tensor<B, 1> {
    mask.float().cast(dtype).sum()
}

/// Statistics of a batch on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossStatistics {
    /// Sum of the losses over the anchors.
    pub sum: f64,
    /// Mean of the losses over the counted anchors; 0 if the batch has no counted anchor.
    pub mean: f64,
    /// Number of counted anchors, which have a positive and a negative.
    pub anchors: usize,
    /// Number of counted anchors with a loss above 0.
    pub active: usize,
    /// Number of positives and negatives with a gradient, over all anchors.
    pub mined: usize,
    /// Mean over the counted anchors of the distance to, or inner product with, the hardest positive;
    /// 0 if the batch has no counted anchor.
    pub mean_positive: f64,
    /// Mean over the counted anchors of the distance to, or inner product with, the hardest negative;
    /// 0 if the batch has no counted anchor.
    pub mean_negative: f64,
}

impl LossStatistics {
    /// Decodes the tensor that [`LossOutput::statistics`] returns.
    ///
    /// # Errors
    /// If the data is not a vector of floats.
    ///
    /// # Panics
    /// If the vector does not have 6 numbers.
    pub fn from_data(data: TensorData) -> Result<Self, DataError> {
        let packed = data.convert::<f64>().into_vec::<f64>()?;
        let [sum, anchors, active, mined, positive, negative] = packed[..] else {
            panic!(
                "the statistics of a loss are 6 numbers, not {}",
                packed.len()
            );
        };
        let mean = |sum: f64| sum / anchors.max(1.0);
        Ok(Self {
            sum,
            mean: mean(sum),
            anchors: anchors as usize,
            active: active as usize,
            mined: mined as usize,
            mean_positive: mean(positive),
            mean_negative: mean(negative),
        })
    }
}
