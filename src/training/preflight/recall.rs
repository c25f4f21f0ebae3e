//! The check of `evaluation.recall` against the galleries.

use super::Checks;
use super::names::RECALL;
use crate::config::{Config, EvaluationConfig};
use crate::data::{Split, Splits};
use crate::evaluation::searched_images;
use crate::setting::{SettingError, counts};

/// How a K above the gallery of the test split is treated. Its Recall@K would be 1 by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::training) enum LargeK {
    /// It is an error, unless `evaluation.recall` has its default: then the user did not choose it.
    Refused,
    /// It is left out with a warning, because the run was begun with it.
    LeftOut,
}

/// Checks that every K of `evaluation.recall` is at most the number of images among which a query is searched.
/// Others are left out where the gallery of a split is smaller; this adds a warning then.
///
/// # Errors
/// If a K is above the gallery of the test split, and `large` refuses it.
pub(in crate::training) fn check_recall(
    checks: &mut Checks,
    config: &Config,
    splits: &Splits,
    large: LargeK,
) -> Result<(), SettingError> {
    let ks = &config.evaluation.recall;
    let searched = |split: &Split| searched_images(split.labels().len(), split.roles());
    let chosen = *ks != EvaluationConfig::default().recall;
    let in_test = searched(&splits.test);
    if let Some(k) = ks
        .iter()
        .find(|&&k| k > in_test && chosen && large == LargeK::Refused)
    {
        let reason = format!(
            "Recall@{k} needs {k} neighbours, but a query of the test split is searched among {in_test} image(s); \
             give K up to {in_test}"
        );
        return Err(SettingError::value("evaluation.recall", counts(ks), reason));
    }
    let measured = splits.validation.iter().chain([&splits.test]);
    let left_out = measured.filter_map(|split| {
        let searched = searched(split);
        let left_out: Vec<String> =
            ks.iter().filter(|&&k| k > searched).map(ToString::to_string).collect();
        (!left_out.is_empty()).then(|| {
            format!(
                "Recall@{} of the {} split is left out, because a query is searched among {searched} image(s)",
                left_out.join(", "),
                split.name()
            )
        })
    });
    let left_out: Vec<String> = left_out.collect();
    if !left_out.is_empty() {
        checks.warning(RECALL, left_out.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancellation::CancellationToken;
    use crate::data;
    use crate::progress::NoProgress;

    /// The messages of the check for 2 validation classes and 4 test classes of 4 images.
    fn messages(recall: &str, large: LargeK) -> Result<Vec<String>, String> {
        let sets = [
            "data.classes=8",
            "data.images_per_class=4",
            "data.validation_share=0.5",
            "batch.classes=2",
            recall,
        ];
        let config = Config::parse("", "test", &sets.map(String::from)).unwrap();
        let (token, hold_out) = (CancellationToken::new(), config.hold_out());
        let opened = data::open_uncached(&config.data, hold_out, &token, &NoProgress).unwrap();
        let mut checks = Checks::default();
        check_recall(&mut checks, &config, &opened.uncached(), large)
            .map_err(|error| error.to_string())?;
        let checks = checks.into_vec().into_iter();
        Ok(checks.map(|check| check.message).collect())
    }

    #[test]
    fn chosen_k_is_refused_above_the_test_gallery_of_a_new_run_only() {
        use LargeK::{LeftOut, Refused};
        let of_validation = |ks: &str| {
            format!(
                "Recall@{ks} of the validation split is left out, because a query is searched among 7 image(s)"
            )
        };
        let none: [String; 0] = [];
        assert_eq!(messages("evaluation.recall=[1, 7]", Refused).unwrap(), none);
        let defaults = messages("evaluation.recall=[1, 2, 4, 8]", Refused);
        assert_eq!(defaults.unwrap(), [of_validation("8")]);
        let chosen = messages("evaluation.recall=[1, 8, 15]", Refused);
        assert_eq!(chosen.unwrap(), [of_validation("8, 15")]);
        assert_eq!(
            messages("evaluation.recall=[1, 16]", Refused).unwrap_err(),
            "`evaluation.recall = [1, 16]`: Recall@16 needs 16 neighbours, but a query of the test split is searched \
             among 15 image(s); give K up to 15"
        );
        let resumed = messages("evaluation.recall=[1, 16]", LeftOut).unwrap();
        let of_test = "Recall@16 of the test split is left out, because a query is searched among 15 image(s)";
        assert_eq!(resumed, [format!("{}; {of_test}", of_validation("16"))]);
    }
}
