//! The images of a dataset as sets to embed, one for each split.

use super::dataset_survey::{Contents, DatasetSurvey};
use crate::data::datasets::{ImageSet, Subset, split_of};
use crate::data::split::Split;

impl DatasetSurvey {
    /// Returns the images of each split with its name, `train`, `validation` or `test`, and the classes of the
    /// dataset. Files are not checked.
    pub fn image_sets(&self) -> Vec<(&'static str, ImageSet)> {
        match &self.contents {
            Contents::Files(index) => {
                let subsets = Subset::ALL.into_iter();
                let subsets = subsets.filter(|&subset| !index.classes(subset).is_empty());
                subsets
                    .map(|subset| (subset.name(), self.set(split_of(index, subset))))
                    .collect()
            }
            Contents::Memory(splits) => [&splits.train, &splits.test]
                .map(|split| (split.name(), self.set(split.clone())))
                .to_vec(),
        }
    }

    fn set(&self, split: Split) -> ImageSet {
        ImageSet {
            path: self.root().unwrap_or(self.dataset().as_ref()).into(),
            labels: split.labels().iter().map(|&label| label as i64).collect(),
            classes: split.class_names().to_vec(),
            skipped: Vec::new(),
            split,
        }
    }
}
