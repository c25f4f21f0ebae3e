//! All problems of a dataset in one report.

use std::collections::HashSet;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::check_report::{
    Agreement, CheckReport, HoldOutSummary, SubsetSummary, evaluated_summary, summaries_in_memory,
};
use super::class_checks::{class_problems, query_problems};
use super::dataset_survey::{Contents, DatasetSurvey, LocatedEntry, all_entries};
use super::duplicates::{Digest, duplicates};
use super::problem::{Problem, Severity};
use super::size::unusual_size;
use crate::data::datasets::{
    DatasetError, DatasetIndex, Entry, ListError, Subset, compare, similar_classes,
    single_image_classes,
};
use crate::data::image_file::{self, decode_image};
use crate::data::split::Splits;
use crate::progress::Monitor;

impl DatasetSurvey {
    /// Checks the lists, the classes and the images of the dataset. The configured workers decode every
    /// image. If a stop is requested, the report has what was found until then.
    ///
    /// Each worker holds one file and its pixels, at most 100 million.
    pub fn check(&self, monitor: Monitor<'_>) -> CheckReport {
        let start = Instant::now();
        let mut report = CheckReport::new(&self.config);
        match &self.contents {
            Contents::Files(index) => self.check_files(index, &mut report, monitor),
            Contents::Memory(splits) => check_in_memory(splits, &mut report),
        }
        // Classes that cannot be divided into splits cannot be held out either.
        if self.undivided().is_none() {
            match self.held_out() {
                Ok(parts) => report.hold_out = parts,
                Err(error) => report.add(vec![Problem::new(error)]),
            }
        }
        report.seconds = start.elapsed().as_secs_f64();
        report
    }

    /// Returns the sizes of the parts of the training split, if classes are held out.
    fn held_out(&self) -> Result<Option<HoldOutSummary>, DatasetError> {
        let Some(hold_out) = self.hold_out else {
            return Ok(None);
        };
        if let Contents::Files(index) = &self.contents
            && index.has_validation()
        {
            self.config.hold_out.check_unused()?;
            return Ok(None);
        }
        let sizes = self.training_class_sizes();
        let division = hold_out.divide(&sizes, &self.config.hold_out)?;
        let summary = |classes: &[usize]| {
            SubsetSummary::from_class_sizes(classes.iter().map(|&class| sizes[class]))
        };
        Ok(Some(HoldOutSummary {
            train: summary(&division.train),
            validation: summary(&division.validation),
        }))
    }

    /// Adds counts, the comparison with the published splits, and every problem once.
    fn check_files(&self, index: &DatasetIndex, report: &mut CheckReport, monitor: Monitor<'_>) {
        let train = index.train.iter().map(|class| class.images.len());
        report.train = SubsetSummary::from_class_sizes(train);
        let has_validation = index.has_validation();
        report.validation = has_validation.then(|| evaluated_summary(index, Subset::Validation));
        report.test = evaluated_summary(index, Subset::Test);
        let mut problems: Vec<Problem> = index.errors.iter().cloned().map(Problem::new).collect();
        problems.extend(index.warnings.iter().cloned().map(|warning| Problem {
            severity: Severity::Warning,
            ..Problem::new(warning)
        }));
        let (agreement, differences) = compare_with_published(index);
        report.published = agreement;
        problems.extend(differences);
        if self.undivided().is_none() {
            let policy = single_image_classes(&self.config.source);
            problems.extend(class_problems(index, policy));
            problems.extend(query_problems(index));
        }
        problems.extend(similar_classes(index).into_iter().map(Problem::new));
        let (checked, of_images) = self.image_problems(index, monitor);
        report.checked = checked;
        if checked < report.total() {
            report.interrupt();
        }
        problems.extend(of_images);

        // The reader of the lists may have reported the same problem.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.error.to_string()));
        report.add(problems);
    }

    /// Reads and decodes every image. Returns how many until a stop was requested, and their problems.
    fn image_problems(&self, index: &DatasetIndex, monitor: Monitor<'_>) -> (usize, Vec<Problem>) {
        let images: Vec<LocatedEntry<'_>> = all_entries(index).collect();
        let examined = self.in_parallel_so_far(images.len(), "decoding", monitor, |index| {
            examine(images[index].image)
        });
        let checked = examined.iter().flatten().count();
        let examined = images.iter().zip(examined);
        let examined = examined.filter_map(|(&image, examined)| Some((image, examined?)));
        let mut problems = Vec::new();
        let mut intact = Vec::new();
        for (image, examined) in examined {
            let problem = match examined {
                Ok((digest, unusual)) => {
                    intact.push((image, digest));
                    unusual
                }
                Err(error) => Some(Problem::new(error)),
            };
            problems.extend(problem.map(|problem| Problem {
                error: image.image.locate(problem.error),
                class: Some(image.class.name.clone()),
                ..problem
            }));
        }
        problems.extend(duplicates(intact, index.published.is_some()));
        (checked, problems)
    }
}

/// Adds counts, and the problems of splits in memory, whose images were verified when they were read or drawn.
fn check_in_memory(splits: &Splits, report: &mut CheckReport) {
    (report.train, report.test) = summaries_in_memory(splits);
    report.in_memory = true;
    report.checked = report.total();
    let problems = [&splits.train, &splits.test]
        .into_iter()
        .filter_map(|split| split.check(false).err());
    report.add(problems.map(Problem::new).collect());
}

fn compare_with_published(index: &DatasetIndex) -> (Option<Agreement>, Vec<Problem>) {
    let Some(published) = &index.published else {
        return (None, Vec::new());
    };
    let differences = compare(index);
    let agreement = if !differences.is_empty() {
        Agreement::Differs
    } else if published.train.digest.is_some() && published.test.digest.is_some() {
        Agreement::Exact
    } else {
        Agreement::Counts
    };
    let differences = differences.into_iter().map(Problem::new).collect();
    (Some(agreement), differences)
}

/// Decodes an image. Returns the digest of what is used of it, and a problem with its size.
fn examine(entry: &Entry) -> Result<(Digest, Option<Problem>), DatasetError> {
    let path = &entry.path;
    let bytes = image_file::read(path).map_err(|error| match path.exists() {
        true => DatasetError::from(error),
        false => ListError::ImageMissing {
            path: path.clone(),
            near: None,
        }
        .into(),
    })?;
    let image = decode_image(path, &bytes, None)?;
    let mut hash = Sha256::new_with_prefix(&bytes);
    let mut size = image.dimensions();
    if let Some(bounding_box) = entry.bounding_box {
        entry.check_inside(bounding_box, size)?;
        size = bounding_box.size();
        hash.update(bounding_box.to_string());
    }
    Ok((
        hash.finalize().into(),
        unusual_size(path, size, entry.bounding_box.is_some()),
    ))
}
