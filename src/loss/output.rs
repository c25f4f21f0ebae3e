//! What a loss gives back: a value for each anchor, its reductions, and statistics of the batch.

use burn::tensor::{Bool, DataError, FloatDType, Tensor, TensorData, backend::Backend};

/// The loss of each of A anchors, and what is worth knowing about the batch.
#[derive(Debug, Clone)]
pub struct LossOutput<B: Backend> {
    /// Loss of each anchor, \[A\]; 0 with gradient 0 where it is not counted.
    pub losses: Tensor<B, 1>,
    /// True for the anchors that have a positive and a negative, \[A\].
    pub counted: Tensor<B, 1, Bool>,
    /// True for the counted anchors that the loss still pushes, as the loss defines it, \[A\].
    pub active: Tensor<B, 1, Bool>,
    /// The distance of each anchor to the positive that the loss looks at, \[A\], 0 where not
    /// counted.
    pub positive: Tensor<B, 1>,
    /// The distance of each anchor to the negative that the loss looks at, \[A\], 0 where not
    /// counted.
    pub negative: Tensor<B, 1>,
}

impl<B: Backend> LossOutput<B> {
    /// Sum of the losses over the anchors, \[1\].
    pub fn sum(&self) -> Tensor<B, 1> {
        self.losses.clone().sum()
    }

    /// Mean of the losses over the counted anchors, \[1\]; 0 with gradient 0 where none is counted.
    pub fn mean(&self) -> Tensor<B, 1> {
        let anchors = count(self.counted.clone(), self.losses.dtype().into());
        self.sum() / anchors.clamp_min(1.0)
    }

    /// The batch's statistics as one tensor \[5\] without gradient, for a single read by
    /// [`LossStatistics::from_data`].
    pub fn statistics(&self) -> Tensor<B, 1> {
        let dtype = self.losses.dtype().into();
        Tensor::cat(
            vec![
                self.sum().detach(),
                count(self.counted.clone(), dtype),
                count(self.active.clone(), dtype),
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
    /// Number of counted anchors that the loss still pushes.
    pub active: usize,
    /// Mean distance of the counted anchors to the positive that the loss looks at; 0 where none is
    /// counted.
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
        let [sum, anchors, active, positive, negative] = packed[..] else {
            panic!(
                "the statistics of a loss are 5 numbers, not {}",
                packed.len()
            );
        };
        let mean = |sum: f64| sum / anchors.max(1.0);
        Ok(Self {
            sum,
            mean: mean(sum),
            anchors: anchors as usize,
            active: active as usize,
            mean_positive: mean(positive),
            mean_negative: mean(negative),
        })
    }
}
