//! The values of options: parsers whose messages use the user's words.

use std::ops::{Bound, RangeBounds};

use clap::builder::PossibleValuesParser;

use crate::data::config::DatasetConfig;
use crate::model::config::Backbone;
use crate::training::Checkpoint;

/// The most images that are embedded at once, as for `evaluation.batch_size`.
pub(super) const MAXIMUM_BATCH_SIZE: u64 = 65_536;

/// The most threads that load images, as for `data.workers`.
pub(super) const MAXIMUM_WORKERS: u64 = 1024;

/// A word with a similarity (Jaro) above this is suggested, as clap does for the names of options.
const SIMILAR: f64 = 0.7;

/// Returns a parser of whole numbers in `range`. Options with it also need `allow_negative_numbers`, so that a
/// negative number is a value and not an unknown option.
pub(super) fn whole_number<T: TryFrom<u64>>(
    range: impl RangeBounds<u64> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("give a whole number{}", described(&range)))
    }
}

/// The numbers of a range in words.
fn described(range: &impl RangeBounds<u64>) -> String {
    let first = match range.start_bound() {
        Bound::Included(&first) => first,
        Bound::Excluded(&before) => before + 1,
        Bound::Unbounded => 0,
    };
    match range.end_bound() {
        Bound::Included(last) => format!(" from {first} to {last}"),
        Bound::Excluded(after) => format!(" from {first} to {}", after - 1),
        Bound::Unbounded => format!(", {first} or more"),
    }
}

/// Parses the name of a checkpoint, or the number of its epoch.
pub(super) fn checkpoint(text: &str) -> Result<Checkpoint, String> {
    let similar = |word: &&str| strsim::jaro(text, word) > SIMILAR;
    match text.parse() {
        Ok(Checkpoint::Epoch(0)) => Err("epochs are numbered from 1; give 1 or more".into()),
        Ok(checkpoint) => Ok(checkpoint),
        Err(_) => Err(match ["best", "last"].iter().find(|word| similar(word)) {
            Some(word) => format!("did you mean {word}? Give best, last or the number of an epoch"),
            None => "give best, last or the number of an epoch".into(),
        }),
    }
}

/// Returns a parser of the names of backbones.
pub(super) fn backbone() -> PossibleValuesParser {
    PossibleValuesParser::new(Backbone::ALL.map(Backbone::name))
}

/// Returns a parser of the names of backbones, and of `none` for features.
pub(super) fn backbone_or_none() -> PossibleValuesParser {
    let all = Backbone::ALL.into_iter().chain([Backbone::None]);
    PossibleValuesParser::new(all.map(Backbone::name))
}

/// Returns a parser of the names of datasets.
pub(super) fn dataset() -> PossibleValuesParser {
    PossibleValuesParser::new(DatasetConfig::NAMES)
}

/// Returns a parser of the names of datasets whose images are files.
pub(super) fn dataset_of_files() -> PossibleValuesParser {
    let datasets = DatasetConfig::all().into_iter();
    let of_files = datasets.filter(DatasetConfig::has_image_files);
    PossibleValuesParser::new(of_files.map(|dataset| dataset.name()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_get_the_range_in_words() {
        let parse = whole_number::<usize>(1..);
        assert_eq!(parse("1"), Ok(1));
        for text in ["0", "-1", "x", "", "1.0", "1e3", "99999999999999999999999"] {
            assert_eq!(
                parse(text).unwrap_err(),
                "give a whole number, 1 or more",
                "{text}"
            );
        }
        let parse = whole_number::<u16>(1..=64);
        assert_eq!(parse("64"), Ok(64));
        assert_eq!(parse("65").unwrap_err(), "give a whole number from 1 to 64");
        let parse = whole_number::<u64>(..);
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("-0.5").unwrap_err(), "give a whole number, 0 or more");
        let parse = whole_number::<u8>(4..256);
        assert_eq!(
            parse("256").unwrap_err(),
            "give a whole number from 4 to 255"
        );
    }

    #[test]
    fn misspelt_checkpoint_is_suggested() {
        assert_eq!(checkpoint("best"), Ok(Checkpoint::Best));
        assert_eq!(checkpoint("12"), Ok(Checkpoint::Epoch(12)));
        assert!(
            checkpoint("bset")
                .unwrap_err()
                .starts_with("did you mean best?")
        );
        assert!(
            checkpoint("lats")
                .unwrap_err()
                .starts_with("did you mean last?")
        );
        assert_eq!(
            checkpoint("-1").unwrap_err(),
            "give best, last or the number of an epoch"
        );
        assert!(checkpoint("0").unwrap_err().contains("numbered from 1"));
    }

    #[test]
    fn datasets_of_files_are_those_with_a_folder_of_images() {
        let parser = dataset_of_files();
        let names = clap::builder::TypedValueParser::possible_values(&parser).unwrap();
        let names: Vec<String> = names.map(|value| value.get_name().to_string()).collect();
        assert!(names.contains(&"folder".into()) && !names.contains(&"synthetic".into()));
    }
}
