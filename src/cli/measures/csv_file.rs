//! The measures of an evaluation as a CSV file.

use std::path::Path;

use super::{Line, MeasureArgs, Measured, retrieval_lines};
use crate::atomic_file::write_new;
use crate::cli::CliError;

impl Measured<'_> {
    /// Writes the measures to the new file `path`: a row for all queries, without a class, and one for each
    /// class if they are printed. Shares are 0 to 1.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub(in crate::cli) fn write_csv(
        &self,
        args: &MeasureArgs,
        path: &Path,
    ) -> Result<(), CliError> {
        let rows = self.csv_rows(args.per_class);
        write_new(path, |file| {
            let mut writer = csv::Writer::from_writer(file);
            for row in rows {
                writer.write_record(&row)?;
            }
            writer.flush()
        })
        .map_err(CliError::from)
    }

    /// The header and the rows, all of one length.
    fn csv_rows(&self, per_class: bool) -> Vec<Vec<String>> {
        let lines = self.lines();
        let mut header = vec!["class".to_string(), "queries".to_string()];
        let queries = self.measures.retrieval.recall.queries;
        let mut all = vec![String::new(), queries.to_string()];
        for line in &lines {
            let name = column(line);
            if let Some([low, high]) = line.interval {
                header.extend([name.clone(), format!("{name}_low"), format!("{name}_high")]);
                all.extend([line.value, low, high].map(|number| number.to_string()));
            } else {
                header.push(name);
                all.push(line.value.to_string());
            }
        }
        if let Some(clustering) = self.measures.clustering {
            header.extend(["inertia", "converged"].map(String::from));
            all.extend([
                clustering.inertia.to_string(),
                clustering.converged.to_string(),
            ]);
        }
        for (_, key, value) in self.distance_lines() {
            header.push(key.to_string());
            all.push(value.map_or(String::new(), |value| value.to_string()));
        }
        let width = header.len();
        let mut rows = vec![header, all];
        for (label, class) in self.measures.classes.iter().filter(|_| per_class) {
            let mut row = vec![
                self.class_name(*label).to_string(),
                class.recall.queries.to_string(),
            ];
            // Classes have neither intervals, clusters nor distances.
            for (line, of_all) in retrieval_lines(class, None).iter().zip(&lines) {
                row.push(line.value.to_string());
                row.extend(of_all.interval.into_iter().flatten().map(|_| String::new()));
            }
            row.resize(width, String::new());
            rows.push(row);
        }
        rows
    }
}

fn column(line: &Line) -> String {
    match line.k {
        Some(k) => format!("recall_at_{k}"),
        None => line.key.to_string(),
    }
}
