//! The number formats that a device computes in.

use burn::tensor::backend::Backend;

use super::probe::{first_line, matrix_product, precisions};
use super::task::ComputeContext;
use crate::model::Precision;
use crate::setting::SettingError;

/// The key that chooses the format.
const KEY: &str = "training.precision";

impl<B: Backend> ComputeContext<B> {
    /// The formats that the device computes in, as it reports them.
    pub fn precisions(&self) -> Vec<Precision> {
        precisions::<B>(&self.device)
    }

    /// Checks that the device computes in `precision`: that it reports so, and that a small product is right.
    /// f32 is not checked.
    ///
    /// # Errors
    ///
    /// If it does not, with the formats that it computes in.
    pub fn check_precision(&self, precision: Precision) -> Result<(), SettingError> {
        if precision == Precision::F32 {
            return Ok(());
        }
        let others = self.precisions();
        let result = match others.contains(&precision) {
            true => matrix_product::<B>(&self.device, precision).map_err(|text| first_line(&text)),
            false => Err(format!("it has no {precision} arithmetic")),
        };
        result.map_err(|reason| refusal(precision, &self.short_name(), &reason, &others))
    }
}

/// The error for a device that does not compute in `precision`.
fn refusal(
    precision: Precision,
    device: &str,
    reason: &str,
    reported: &[Precision],
) -> SettingError {
    let others = reported.iter().filter(|&&other| other != precision);
    let others: Vec<String> = others.map(|other| format!("`{other}`")).collect();
    SettingError::value(
        KEY,
        precision.as_str(),
        format!(
            "the device ({device}) cannot train in it: {reason}; choose {}, or another device with --backend or \
             --device",
            others.join(" or ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::UploadMode;
    use crate::model::ConvAlgorithm;

    #[test]
    fn processor_computes_in_every_format() {
        let compute = ComputeContext::<burn_flex::Flex> {
            device: burn_flex::FlexDevice,
            conv: ConvAlgorithm::Im2col,
            in_process: true,
            upload: UploadMode::Normalized,
        };
        assert_eq!(compute.precisions(), Precision::ALL);
        for precision in Precision::ALL {
            assert_eq!(compute.check_precision(precision), Ok(()));
        }
    }

    #[test]
    fn refusal_names_the_key_the_device_and_the_other_formats() {
        let reported = [Precision::F32, Precision::F16];
        let error = refusal(
            Precision::Bf16,
            "wgpu 0",
            "it has no bf16 arithmetic",
            &reported,
        );
        assert_eq!(
            error.to_string(),
            "`training.precision = \"bf16\"`: the device (wgpu 0) cannot train in it: it has no bf16 arithmetic; \
             choose `f32` or `f16`, or another device with --backend or --device"
        );
    }
}
