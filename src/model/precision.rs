//! The number format in which training computes the backbone.

use std::fmt;

use burn::tensor::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number format of the backbone's convolutions and element-wise operations in training.
///
/// The format is that of the images that a network gets: every layer computes in the format of its input.
/// Parameters, their gradients and the statistics of batch norms are f32 in every format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 significant bits, on every device.
    #[default]
    F32,
    /// bfloat16: 8 significant bits and the range of f32. For CUDA.
    Bf16,
    /// Half precision: 11 significant bits, numbers from 6e-8 to 65,504. Gradients are scaled. For CUDA and
    /// for wgpu if the adapter has it.
    F16,
}

impl Precision {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// The format as Burn's type.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// The number of significant bits.
    pub const fn significant_bits(self) -> u32 {
        match self {
            Self::F32 => f32::MANTISSA_DIGITS,
            Self::Bf16 => 8,
            Self::F16 => 11,
        }
    }

    /// The name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
