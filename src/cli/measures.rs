//! The measures of an evaluation: as text, JSON and CSV.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::CliError;
use super::output::{print, print_lines};
use crate::atomic_file::{check_free, write_new};
use crate::evaluation::{
    ClusteringOptions, MeasureOptions, Resampling, RetrievalMeasures, SplitMeasures,
};

/// What is measured besides the means of the retrieval measures.
#[derive(Debug, Args)]
pub(super) struct MeasureArgs {
    /// Cluster the embeddings by k-means, as many clusters as classes, and print NMI, AMI and F1
    #[arg(long)]
    clustering: bool,
    /// Print 95 % intervals by the bootstrap over queries, or over classes, whose queries are not independent
    #[arg(
        long,
        value_name = "OVER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "queries"
    )]
    intervals: Option<Over>,
    /// Print the measures of each class too
    #[arg(long)]
    per_class: bool,
    /// Write the printed measures to this CSV file
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Over {
    Queries,
    Classes,
}

impl MeasureArgs {
    /// Checks the options before anything takes long.
    ///
    /// # Errors
    /// If the CSV file has another extension, or exists.
    pub(super) fn check(&self) -> Result<(), CliError> {
        let Some(path) = &self.csv else {
            return Ok(());
        };
        let is_csv = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if is_csv {
            return check_free(path).map_err(CliError::from);
        }
        let value = path.display().to_string();
        let reason = "measures are written as CSV; use the extension .csv";
        Err(crate::setting::SettingError::value("--csv", value, reason).into())
    }

    pub(super) fn options(&self) -> MeasureOptions<'static> {
        MeasureOptions {
            recall: &[],
            clustering: self.clustering.then(ClusteringOptions::default),
            intervals: self.intervals.map(|over| match over {
                Over::Queries => Resampling::Queries,
                Over::Classes => Resampling::Classes,
            }),
        }
    }
}

/// A measure with its name, JSON key, value and interval.
struct Line {
    name: String,
    key: &'static str,
    /// The K of Recall@K.
    k: Option<usize>,
    value: f64,
    interval: Option<[f64; 2]>,
}

/// The measures, and the names of the classes that they count.
pub(super) struct Measured<'a> {
    pub(super) measures: &'a SplitMeasures,
    /// The names of the classes, by label.
    pub(super) classes: &'a [String],
}

impl Measured<'_> {
    /// The means over all queries, and the agreement of the clusters.
    fn lines(&self) -> Vec<Line> {
        let SplitMeasures {
            retrieval,
            intervals,
            clustering,
            ..
        } = self.measures;
        let intervals = intervals.as_ref();
        let line = |name: &str, key, value, interval| Line {
            name: name.into(),
            key,
            k: None,
            value,
            interval,
        };
        let recall = retrieval.recall.at.iter().map(|(&k, &value)| Line {
            name: format!("Recall@{k}"),
            key: "recall",
            k: Some(k),
            value,
            interval: intervals.and_then(|intervals| intervals.recall.get(&k).copied()),
        });
        let mut lines: Vec<Line> = recall.collect();
        lines.extend([
            line(
                "MAP@R",
                "map_at_r",
                retrieval.map_at_r,
                intervals.map(|intervals| intervals.map_at_r),
            ),
            line(
                "R-precision",
                "r_precision",
                retrieval.r_precision,
                intervals.map(|intervals| intervals.r_precision),
            ),
            line(
                "mAP",
                "map",
                retrieval.map,
                intervals.map(|intervals| intervals.map),
            ),
        ]);
        if let Some(clustering) = clustering {
            let agreement = clustering.agreement;
            lines.extend([
                line("NMI", "nmi", agreement.nmi, None),
                line("AMI", "ami", agreement.ami, None),
                line("F1", "f1", agreement.f1, None),
            ]);
        }
        lines
    }

    /// Prints the measures under `title`.
    pub(super) fn print(&self, args: &MeasureArgs, title: &str) -> Result<(), CliError> {
        let queries = self.measures.retrieval.recall.queries;
        print(format_args!("{title}, {queries} queries"))?;
        for line in self.lines() {
            let interval = line.interval.map_or(String::new(), |[low, high]| {
                format!("  [{:.2}, {:.2}]", 100.0 * low, 100.0 * high)
            });
            print(format_args!(
                "{:12} {:6.2} %{interval}",
                line.name,
                100.0 * line.value
            ))?;
        }
        if let Some(clustering) = self.measures.clustering {
            let end = if clustering.converged {
                ""
            } else {
                ", not converged"
            };
            let inertia = significant(clustering.inertia);
            print(format_args!("{:12} {inertia}{end}", "inertia"))?;
        }
        if args.per_class {
            print("")?;
            print_lines(self.class_table().trim_end())?;
        }
        Ok(())
    }

    /// A row for each class, the worst first.
    fn class_table(&self) -> String {
        let mut classes: Vec<(&usize, &RetrievalMeasures)> = self.measures.classes.iter().collect();
        classes.sort_by(|a, b| a.1.map_at_r.total_cmp(&b.1.map_at_r));
        let first_k = self.measures.retrieval.recall.at.keys().next().copied();
        let recall = first_k.map_or(String::new(), |k| format!("R@{k}"));
        let mut table = format!(
            "{:>8} {recall:>7} {:>7} {:>7}  class\n",
            "queries", "MAP@R", "R-prec"
        );
        for (label, measures) in classes {
            let recall = first_k.map_or(0.0, |k| measures.recall.at[&k]);
            let _ = writeln!(
                table,
                "{:>8} {:>7.2} {:>7.2} {:>7.2}  {}",
                measures.recall.queries,
                100.0 * recall,
                100.0 * measures.map_at_r,
                100.0 * measures.r_precision,
                self.class_name(*label)
            );
        }
        table
    }

    fn class_name(&self, label: usize) -> &str {
        self.classes.get(label).map_or("", String::as_str)
    }

    /// Adds the measures to the keys of `object`.
    pub(super) fn add_to(&self, args: &MeasureArgs, object: &mut Value) {
        let retrieval = &self.measures.retrieval;
        object["recall"] = json!(retrieval.recall.at);
        object["queries"] = json!(retrieval.recall.queries);
        if let Some(intervals) = &self.measures.intervals {
            object["recall_interval"] = json!(intervals.recall);
        }
        for line in self.lines().into_iter().filter(|line| line.k.is_none()) {
            object[line.key] = json!(line.value);
            if let Some(interval) = line.interval {
                object[format!("{}_interval", line.key)] = json!(interval);
            }
        }
        if let Some(clustering) = self.measures.clustering {
            object["inertia"] = json!(clustering.inertia);
            object["converged"] = json!(clustering.converged);
        }
        if args.per_class {
            let class = |(label, measures): (&usize, &RetrievalMeasures)| {
                let mut class = Map::new();
                class.insert("class".into(), json!(self.class_name(*label)));
                class.insert("queries".into(), json!(measures.recall.queries));
                class.insert("recall".into(), json!(measures.recall.at));
                class.insert("map_at_r".into(), json!(measures.map_at_r));
                class.insert("r_precision".into(), json!(measures.r_precision));
                class.insert("map".into(), json!(measures.map));
                Value::Object(class)
            };
            object["classes"] = self.measures.classes.iter().map(class).collect();
        }
    }

    /// Writes the measures to a CSV file: a row for all queries, without a class, and one for each class if
    /// they are printed.
    pub(super) fn write_csv(&self, args: &MeasureArgs, path: &Path) -> Result<(), CliError> {
        let lines = self.lines();
        let columns = lines.iter().flat_map(|line| {
            let name = match line.k {
                Some(k) => format!("recall_at_{k}"),
                None => line.key.to_string(),
            };
            let ends = line
                .interval
                .map(|_| [format!("{name}_low"), format!("{name}_high")]);
            std::iter::once(name).chain(ends.into_iter().flatten())
        });
        let header = ["class".to_string(), "queries".to_string()];
        let header: Vec<String> = header.into_iter().chain(columns).collect();
        let width = header.len();
        let mut rows = vec![header];
        let all = &self.measures.retrieval;
        let values = lines.iter().flat_map(|line| {
            let ends = line.interval.into_iter().flatten();
            std::iter::once(line.value)
                .chain(ends)
                .map(|value| value.to_string())
        });
        let start = [String::new(), all.recall.queries.to_string()];
        rows.push(start.into_iter().chain(values).collect());
        for (label, class) in self.measures.classes.iter().filter(|_| args.per_class) {
            let mut row = vec![self.class_name(*label).to_string()];
            row.push(class.recall.queries.to_string());
            for line in &lines {
                let value = match (line.k, line.key) {
                    (Some(k), _) => class.recall.at.get(&k).copied(),
                    (None, "map_at_r") => Some(class.map_at_r),
                    (None, "r_precision") => Some(class.r_precision),
                    (None, "map") => Some(class.map),
                    _ => None,
                };
                row.push(value.map_or(String::new(), |value| value.to_string()));
                row.extend(line.interval.into_iter().flatten().map(|_| String::new()));
            }
            row.resize(width, String::new());
            rows.push(row);
        }
        write_new(path, |file| {
            let mut writer = csv::Writer::from_writer(file);
            for row in rows {
                writer.write_record(&row)?;
            }
            writer.flush()
        })
        .map_err(CliError::from)
    }
}

/// A number of 0 or more with at least six digits.
fn significant(number: f64) -> String {
    match number {
        0.0 | 1e-3..1e9 => format!("{number:.6}"),
        _ => format!("{number:.6e}"),
    }
}
