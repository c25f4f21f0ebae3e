//! The measures of an evaluation: as text, JSON and CSV.

mod csv_file;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::CliError;
use super::extension::check_extension;
use super::output::{print, print_lines};
use crate::atomic_file::check_free;
use crate::evaluation::{
    ClusteringOptions, MeasureOptions, Resampling, RetrievalIntervals, RetrievalMeasures,
    SplitMeasures,
};

/// What is measured besides the means of the retrieval measures.
#[derive(Debug, Args)]
pub(super) struct MeasureArgs {
    /// Cluster the embeddings by k-means, as many clusters as classes, and print NMI, AMI and F1
    #[arg(long)]
    clustering: bool,
    /// Print 95 % intervals by the bootstrap
    #[arg(long)]
    intervals: bool,
    /// Draw the samples of --intervals from queries, or from classes, whose queries are not independent
    #[arg(
        long,
        value_name = "OVER",
        default_value = "queries",
        requires = "intervals"
    )]
    intervals_over: Over,
    /// Print the measures of each class too
    #[arg(long)]
    per_class: bool,
    /// Write the printed measures to this CSV file
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
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
        check_extension("--csv", path, "csv")?;
        check_free(path).map_err(CliError::from)
    }

    pub(super) fn options(&self) -> MeasureOptions<'static> {
        MeasureOptions {
            recall: &[],
            distances: true,
            clustering: self.clustering.then(ClusteringOptions::default),
            intervals: self.intervals.then_some(match self.intervals_over {
                Over::Queries => Resampling::Queries,
                Over::Classes => Resampling::Classes,
            }),
            group: None,
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

impl Line {
    fn new(name: &str, key: &'static str, value: f64) -> Self {
        Self {
            name: name.into(),
            key,
            k: None,
            value,
            interval: None,
        }
    }
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
        let measures = self.measures;
        let mut lines = retrieval_lines(&measures.retrieval, measures.intervals.as_ref());
        if let Some(clustering) = measures.clustering {
            let agreement = clustering.agreement;
            lines.extend([
                Line::new("NMI", "nmi", agreement.nmi),
                Line::new("AMI", "ami", agreement.ami),
                Line::new("F1", "f1", agreement.f1),
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
        for (name, _, value) in self.distance_lines() {
            let value = value.map_or("-".to_string(), |value| format!("{value:.4}"));
            print(format_args!("{name:36} {value:>9}"))?;
        }
        if args.per_class {
            print("")?;
            print_lines(self.class_table().trim_end())?;
        }
        Ok(())
    }

    /// Names, JSON keys and values of the statistics of the distances; `None` for what is not defined.
    fn distance_lines(&self) -> Vec<(&'static str, &'static str, Option<f64>)> {
        let Some(distances) = self.measures.distances else {
            return Vec::new();
        };
        vec![
            ("mean distance in a class", "intra", distances.intra),
            ("mean distance of class centres", "inter", distances.inter),
            ("their ratio", "intra_inter_ratio", distances.ratio()),
            (
                "nearest negative less positive",
                "negative_margin",
                distances.margin,
            ),
            (
                "effective number of dimensions",
                "effective_dimension",
                distances.effective_dimension,
            ),
        ]
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
        let distances = self.distance_lines().into_iter();
        let distances: serde_json::Map<String, Value> = distances
            .map(|(_, key, value)| (key.to_string(), json!(value)))
            .collect();
        if !distances.is_empty() {
            object["distances"] = distances.into();
        }
        if args.per_class {
            let class = |(label, measures): (&usize, &RetrievalMeasures)| {
                let mut class = json!({
                    "class": self.class_name(*label),
                    "queries": measures.recall.queries,
                    "recall": measures.recall.at,
                });
                let lines = retrieval_lines(measures, None).into_iter();
                for line in lines.filter(|line| line.k.is_none()) {
                    class[line.key] = json!(line.value);
                }
                class
            };
            object["classes"] = self.measures.classes.iter().map(class).collect();
        }
    }
}

/// The means over queries, with their intervals.
fn retrieval_lines(
    measures: &RetrievalMeasures,
    intervals: Option<&RetrievalIntervals>,
) -> Vec<Line> {
    let recall = measures.recall.at.iter().map(|(&k, &value)| Line {
        name: format!("Recall@{k}"),
        key: "recall",
        k: Some(k),
        value,
        interval: intervals.and_then(|intervals| intervals.recall.get(&k).copied()),
    });
    let mut lines: Vec<Line> = recall.collect();
    let line = |name: &str, key, value, interval: fn(&RetrievalIntervals) -> [f64; 2]| Line {
        interval: intervals.map(interval),
        ..Line::new(name, key, value)
    };
    lines.extend([
        line("MAP@R", "map_at_r", measures.map_at_r, |of| of.map_at_r),
        line("R-precision", "r_precision", measures.r_precision, |of| {
            of.r_precision
        }),
        line("mAP", "map", measures.map, |of| of.map),
    ]);
    lines
}

/// A number of 0 or more with at least six digits.
fn significant(number: f64) -> String {
    match number {
        0.0 | 1e-3..1e9 => format!("{number:.6}"),
        _ => format!("{number:.6e}"),
    }
}
