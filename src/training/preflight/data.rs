//! The checks of the images and of the composition of batches.

use super::Checks;
use super::names::{BATCH, DATA};
use crate::config::Config;
use crate::data::{PairSampler, Split, Splits};

/// Adds what the splits contain.
pub(in crate::training) fn check_data(checks: &mut Checks, splits: &Splits) {
    let chosen = [
        (Some(&splits.train), "train"),
        (splits.validation.as_ref(), "validate"),
        (Some(&splits.test), "test"),
    ];
    let parts: Vec<String> = chosen
        .iter()
        .filter_map(|(split, verb)| Some(format!("{} {verb}", describe((*split)?))))
        .collect();
    let mut message = parts.join(", ");
    let skipped: usize = chosen
        .iter()
        .filter_map(|(split, _)| Some((*split)?.skipped().len()))
        .sum();
    match skipped {
        0 => checks.passed(DATA, message),
        _ => {
            message += &format!("; {skipped} image(s) that cannot be read are skipped");
            checks.warning(DATA, message);
        }
    }
}

/// The numbers of images and classes of a split, and of images per class.
fn describe(split: &Split) -> String {
    let sizes = split.class_sizes();
    let (smallest, largest) = (sizes.iter().min(), sizes.iter().max());
    let (smallest, largest) = (smallest.unwrap_or(&0), largest.unwrap_or(&0));
    let each = match smallest == largest {
        true => format!("{smallest} each"),
        false => format!("{smallest} to {largest} each"),
    };
    format!(
        "{} {} of {} classes ({each})",
        split.labels().len(),
        split.unit(),
        sizes.len()
    )
}

/// Adds the composition of the batches, and the share of the training images that an epoch covers.
pub(in crate::training) fn check_batches(
    checks: &mut Checks,
    config: &Config,
    train: &Split,
    sampler: &PairSampler,
) {
    let coverage = sampler.coverage(1);
    let (per_class, unit) = (config.batch.images_per_class, train.unit());
    let message = format!(
        "{} classes × {per_class} {unit} = {}, {} per epoch; an epoch covers {:.1} % of the training {unit} and \
         {:.1} % of the classes",
        config.batch.classes,
        sampler.batch_len(),
        sampler.batches_per_epoch(),
        100.0 * coverage.images,
        100.0 * coverage.classes
    );
    let sizes = train.class_sizes();
    let paired = config.negatives.pairs_consecutive_rows();
    match repetition(&sizes, per_class, paired, unit) {
        None => checks.passed(BATCH, message),
        Some(repetition) => checks.warning(BATCH, format!("{message}; {repetition}")),
    }
}

/// Returns how many classes have too few images for a batch, and the largest number that all have. `None` if
/// all have enough. `paired`: whether the number must be even; `unit`: what an image is called.
fn repetition(sizes: &[usize], per_class: usize, paired: bool, unit: &str) -> Option<String> {
    let small = sizes.iter().filter(|&&size| size < per_class).count();
    let smallest = *sizes.iter().min()?;
    let largest = match paired {
        true => smallest - smallest % 2,
        false => smallest,
    };
    let advice = match largest {
        0 | 1 => format!("no value avoids it, since the smallest class has {smallest}"),
        largest => {
            format!("no class repeats {unit} with batch.images_per_class = {largest} or less")
        }
    };
    (small > 0).then(|| {
        format!(
            "{small} of {} classes have fewer than {per_class} {unit}, which are repeated within a batch; {advice}",
            sizes.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_images_are_reported_with_the_largest_value_without_repeats() {
        assert_eq!(repetition(&[5, 4, 9], 4, true, "images"), None);
        assert_eq!(repetition(&[], 4, true, "images"), None);
        let message = repetition(&[5, 3, 9], 6, false, "rows").unwrap();
        assert!(message.ends_with("no class repeats rows with batch.images_per_class = 3 or less"));
        let message = repetition(&[5, 3, 9], 6, true, "images").unwrap();
        assert_eq!(
            message,
            "2 of 3 classes have fewer than 6 images, which are repeated within a batch; no class repeats \
             images with batch.images_per_class = 2 or less"
        );
        let message = repetition(&[1, 3], 2, true, "images").unwrap();
        assert!(message.starts_with("1 of 2 classes have") && message.ends_with("class has 1"));
    }
}
