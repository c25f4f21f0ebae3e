//! The reports as text.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use super::check_report::{Agreement, CheckReport, EvaluatedSummary, SubsetSummary};
use super::contact_sheet::SheetRow;
use super::problem::{Problem, Severity};
use super::stats::{Spread, Stats, SubsetStats};
use crate::data::image_cache::CacheState;
use crate::escape::{escaped, path_with_bytes};

/// Problems of one kind that the text names. Further problems are only counted.
const NAMED: usize = 20;
/// Characters of the longest bar of a histogram.
const BAR: usize = 40;

impl Display for CheckReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        title(f, self.dataset, self.root.as_deref())?;
        if self.opened {
            self.counts(f)?;
        }
        let mut rest: Vec<&Problem> = self.problems.iter().collect();
        while let Some(first) = rest.first() {
            let group = (first.severity, first.kind());
            let (same, others): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|problem| (problem.severity, problem.kind()) == group);
            list(f, group, &same)?;
            rest = others;
        }
        writeln!(f, "\n{}", self.verdict())
    }
}

impl CheckReport {
    fn counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "train  {}", self.train)?;
        if let Some(parts) = &self.hold_out {
            writeln!(f, "       for training:   {}", parts.train)?;
            writeln!(f, "       for validation: {}", parts.validation)?;
        }
        if let Some(validation) = &self.validation {
            writeln!(f, "validation  {validation}")?;
        }
        writeln!(f, "test   {}", self.test)?;
        if let Some(agreement) = self.published {
            writeln!(f, "{}", agreement.in_words())?;
        }
        if self.in_memory {
            writeln!(
                f,
                "the images are in memory; they were verified when they were read or drawn"
            )?;
        }
        for cache in self.caches.iter().flatten() {
            writeln!(
                f,
                "cache of {}: {}",
                cache.split,
                cache.state.in_words(&cache.file)
            )?;
        }
        Ok(())
    }

    /// Returns one line that says whether the dataset can be trained on.
    pub fn verdict(&self) -> String {
        let warnings = match self.warnings {
            0 => String::new(),
            count => format!(", {count} warning(s)"),
        };
        let errors = match self.errors {
            0 => "no errors".to_string(),
            count => format!("{count} error(s)"),
        };
        match (self.interrupted, self.errors) {
            (true, _) => format!(
                "interrupted after {} of {} image(s): {errors}{warnings} so far",
                self.checked,
                self.total()
            ),
            (false, 0) => format!("{errors}{warnings}: ready for training"),
            (false, _) => format!("{errors}{warnings}: fix the errors before training"),
        }
    }
}

impl CacheState {
    fn in_words(&self, file: &Path) -> String {
        let file = path_with_bytes(file);
        let file = escaped(&file);
        match self {
            Self::Missing => format!("{file} was not built yet"),
            Self::Damaged { reason } => format!("{file} is damaged ({reason})"),
            Self::Compared { images, stale } => {
                let equal = images - stale.len();
                format!("{equal} of {images} images are the same in {file}")
            }
        }
    }
}

fn title(f: &mut Formatter<'_>, dataset: &str, root: Option<&Path>) -> fmt::Result {
    match root {
        Some(root) => writeln!(f, "{dataset} in {}", escaped(&root.display().to_string())),
        None => writeln!(f, "{dataset}, drawn from a seed"),
    }
}

fn list(
    f: &mut Formatter<'_>,
    (severity, kind): (Severity, &str),
    problems: &[&Problem],
) -> fmt::Result {
    writeln!(f, "\n{} {kind}: {}", severity.name(), problems.len())?;
    for problem in problems.iter().take(NAMED) {
        writeln!(f, "  {}", escaped(&problem.error.to_string()))?;
    }
    match problems.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more; --json lists all"),
    }
}

impl Display for SubsetSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} images of {} classes", self.images, self.classes)?;
        match self.images_per_class {
            Some([smallest, largest]) => write!(f, ", {smallest} to {largest} per class"),
            None => Ok(()),
        }
    }
}

impl Display for EvaluatedSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {} queries, gallery of {}",
            self.subset, self.queries, self.gallery
        )
    }
}

impl Agreement {
    fn in_words(self) -> &'static str {
        match self {
            Self::Exact => "the published split, image for image",
            Self::Counts => {
                "the same numbers of images and classes as the published split, whose list is not known"
            }
            Self::Differs => "not the published split, see below",
        }
    }
}

impl Display for Stats {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        title(f, self.dataset, self.root.as_deref())?;
        subset(f, "train", &self.train)?;
        if let Some(validation) = &self.validation {
            subset(f, "validation", validation)?;
        }
        subset(f, "test", &self.test)
    }
}

fn subset(f: &mut Formatter<'_>, name: &str, stats: &SubsetStats) -> fmt::Result {
    writeln!(
        f,
        "\n{name}: {} images of {} classes",
        stats.images, stats.classes
    )?;
    spread(f, "images per class", &stats.images_per_class)?;
    spread(f, "width", &stats.width)?;
    spread(f, "height", &stats.height)?;
    let formats: Vec<String> = stats
        .formats
        .iter()
        .map(|(format, count)| format!("{count} {format}"))
        .collect();
    if !formats.is_empty() {
        writeln!(f, "  {:16} {}", "formats", formats.join(", "))?;
        writeln!(f, "  {:16} {}", "bytes", stats.bytes)?;
    }
    if stats.unreadable > 0 {
        writeln!(
            f,
            "  {:16} {}; `loop-dml data check` names them",
            "unreadable", stats.unreadable
        )?;
    }
    let tallest = stats.histogram.iter().map(|bin| bin.classes).max();
    for bin in &stats.histogram {
        // Rounded up, so that a single class is visible.
        let bar = (bin.classes * BAR).div_ceil(tallest.unwrap_or(1).max(1));
        let line = format!(
            "  {:>6} to {:<6} {:>6} class(es) {}",
            bin.from,
            bin.to,
            bin.classes,
            "#".repeat(bar)
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn spread(f: &mut Formatter<'_>, name: &str, spread: &Option<Spread>) -> fmt::Result {
    match spread {
        Some(Spread {
            min,
            median,
            mean,
            max,
        }) => writeln!(
            f,
            "  {name:16} min {min}, median {median}, mean {mean:.1}, max {max}"
        ),
        None => Ok(()),
    }
}

impl Display for SheetRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({} shown)",
            self.split,
            self.class,
            self.images.len()
        )?;
        match self.unreadable {
            0 => Ok(()),
            count => write!(f, ", {count} of them unreadable (grey)"),
        }
    }
}
