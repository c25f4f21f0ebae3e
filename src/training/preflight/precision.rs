//! The check of the number format of the backbone.

use burn::tensor::backend::Backend;

use super::Checks;
use super::names::PRECISION;
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::model::Precision;
use crate::setting::SettingError;

/// Checks that the device computes in `training.precision`. Adds nothing for f32, which every device has.
///
/// # Errors
/// If the device does not.
pub(in crate::training) fn check_precision<B: Backend>(
    checks: &mut Checks,
    config: &Config,
    compute: &ComputeContext<B>,
) -> Result<(), SettingError> {
    let precision = config.training.precision;
    compute.check_precision(precision)?;
    match precision {
        Precision::F32 => {}
        _ if compute.in_process => checks.warning(
            PRECISION,
            format!(
                "training.precision = \"{precision}\" is slower than f32 on the CPU, which computes it by \
                 conversion; it only shows how a GPU would train"
            ),
        ),
        _ => checks.passed(PRECISION, format!("the backbone is trained in {precision}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::UploadMode;
    use crate::model::ConvAlgorithm;
    use crate::training::CheckOutcome;

    #[test]
    fn low_precision_on_the_cpu_is_a_warning() {
        let compute = ComputeContext::<burn_flex::Flex> {
            device: burn_flex::FlexDevice,
            conv: ConvAlgorithm::Im2col,
            in_process: true,
            upload: UploadMode::Normalized,
        };
        let mut config = Config::default();
        let mut checks = Checks::default();
        check_precision(&mut checks, &config, &compute).unwrap();
        assert!(checks.as_slice().is_empty());
        config.training.precision = Precision::Bf16;
        check_precision(&mut checks, &config, &compute).unwrap();
        let check = &checks.as_slice()[0];
        assert_eq!(check.outcome, CheckOutcome::Warning);
        assert!(check.message.contains("slower than f32 on the CPU"));
    }
}
