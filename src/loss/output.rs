//! What a loss gives back: a value for each anchor, its reductions, and statistics of the batch.

use burn::tensor::{Bool, DataError, FloatDType, Tensor, TensorData, backend::Backend};

use super::hardest::Hardest;

/// The loss of each of A anchors, and what is worth knowing about the batch.
#[derive(Debug, Clone)]
pub struct LossOutput<B: Backend> {
    /// Loss of each anchor, \[A\]; 0 with gradient 0 where it is not counted.
    pub losses: Tensor<B, 1>,
    /// True for the anchors that have a positive and a negative, \[A\].
    pub counted: Tensor<B, 1, Bool>,
    /// True for the counted anchors with a loss above 0, \[A\]: those that it still pushes. Numbers
    /// too small to be normal count as 0, which they are on GPUs.
    pub active: Tensor<B, 1, Bool>,
    /// How many of each anchor's positives and negatives have a gradient, \[A\], 0 where not
    /// counted.
    pub mined: Tensor<B, 1>,
    /// Each anchor's hardest positive, \[A\], 0 where not counted: its largest distance or smallest
    /// inner product.
    pub positive: Tensor<B, 1>,
    /// Each anchor's hardest negative, \[A\], 0 where not counted: its smallest distance or largest
    /// inner product.
    pub negative: Tensor<B, 1>,
}

impl<B: Backend> LossOutput<B> {
    /// From each anchor's loss, whatever it is where the anchor is not counted, and its number of
    /// mined comparisons, both \[A, 1\].
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

    /// Sum of the losses over the anchors, \[1\].
    pub fn sum(&self) -> Tensor<B, 1> {
        self.losses.clone().sum()
    }

    /// Mean of the losses over the counted anchors, \[1\]; 0 with gradient 0 where none is counted.
    pub fn mean(&self) -> Tensor<B, 1> {
        let anchors = count(self.counted.clone(), self.losses.dtype().into());
        self.sum() / anchors.clamp_min(1.0)
    }

    /// The batch's statistics as one tensor \[6\] without gradient, for a single read by
    /// [`LossStatistics::from_data`].
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

/// How many entries are true, \[1\].
fn count<B: Backend>(mask: Tensor<B, 1, Bool>, dtype: FloatDType) -> Tensor<B, 1> {
    mask.float().cast(dtype).sum()
}

/// Statistics of a batch on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossStatistics {
    /// Sum of the losses over the anchors.
    pub sum: f64,
    /// Mean of the losses over the counted anchors; 0 where none is.
    pub mean: f64,
    /// Number of counted anchors: those that have a positive and a negative.
    pub anchors: usize,
    /// Number of counted anchors with a loss above 0.
    pub active: usize,
    /// Number of positives and negatives that have a gradient, over all anchors.
    pub mined: usize,
    /// Mean over the counted anchors of the distance to, or inner product with, the hardest positive;
    /// 0 where none is counted.
    pub mean_positive: f64,
    /// The same for negatives.
    pub mean_negative: f64,
}

impl LossStatistics {
    /// Decodes what [`LossOutput::statistics`] packed.
    ///
    /// # Errors
    /// If the data is not a vector of floats.
    ///
    /// # Panics
    /// If the vector is not that of [`LossOutput::statistics`].
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
