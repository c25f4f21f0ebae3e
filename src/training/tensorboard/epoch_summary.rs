//! What TensorBoard shows of an epoch.

use super::histogram::histogram;
use super::messages::{Data, Image, PluginData, Shape, Summary, SummaryMetadata, Text, Value};
use super::query_sheet::QuerySheet;
use crate::training::run_folder::EpochRecord;
use crate::training::validation::{Inspection, WORST_QUERIES};

/// The tags of the histograms.
const POSITIVE: &str = "distance/positive";
const NEGATIVE: &str = "distance/negative";
/// The tag of the contact sheet.
const SHEET: &str = "queries/worst";
/// The tag of the names of its images.
const NAMES: &str = "queries/worst_files";

/// The scalars of an epoch by tag: all numbers of its line in `metrics.jsonl`.
pub(super) fn scalars(record: &EpochRecord) -> Vec<(String, f64)> {
    let training = record.training.iter().map(|(key, &value)| {
        let tag = match key.as_str() {
            "loss" => "loss".to_string(),
            "learning_rate" => "lr".to_string(),
            key => format!("training/{key}"),
        };
        (tag, value)
    });
    let recall = record.recall.iter().flat_map(|recall| &recall.at);
    let recall = recall.map(|(k, &share)| (format!("metric/R{k}"), share));
    let map_at_r = record.map_at_r.map(|map| ("metric/MAP@R".to_string(), map));
    let seconds = ("time/epoch_seconds".to_string(), record.seconds);
    training
        .chain(recall)
        .chain(map_at_r)
        .chain([seconds])
        .collect()
}

/// The scalars as they are stored, in single precision.
pub(super) fn stored_scalars(record: &EpochRecord) -> Vec<Value> {
    let scalars = scalars(record).into_iter();
    scalars
        .map(|(tag, value)| Value {
            tag,
            metadata: None,
            data: Some(Data::Scalar(value as f32)),
        })
        .collect()
}

/// The values of an epoch: scalars, and histograms and the sheet of worst queries of an epoch that was
/// evaluated.
pub(super) fn summary(
    record: &EpochRecord,
    inspection: Option<&Inspection>,
    sheet: Option<QuerySheet>,
) -> Summary {
    let mut values = stored_scalars(record);
    if let Some(inspection) = inspection {
        let histograms = [
            (POSITIVE, "of the same class", &inspection.positive),
            (NEGATIVE, "of different classes", &inspection.negative),
        ];
        for (tag, pairs, distances) in histograms {
            let description = format!(
                "Euclidean distances of {} pairs of images {pairs}, drawn once",
                distances.len()
            );
            if let Some(histogram) = histogram(distances) {
                let data = Data::Histogram(histogram);
                values.push(described(tag, "histograms", description, data));
            }
        }
    }
    if let Some(QuerySheet { jpeg, size, table }) = sheet {
        let description = format!(
            "The {WORST_QUERIES} queries whose nearest positive has the worst rank. Columns: the query, its \
             nearest image of another class (red), its nearest image of the same class (green)."
        );
        let [width, height] = size.map(|side| side as i32);
        let image = Image {
            height,
            width,
            colorspace: 3,
            encoded: jpeg,
        };
        values.push(described(SHEET, "images", description, Data::Image(image)));
        let text = Text {
            data_type: 7,
            shape: Some(Shape {}),
            strings: vec![table.into_bytes()],
        };
        values.push(described(NAMES, "text", String::new(), Data::Text(text)));
    }
    Summary { values }
}

/// A value with the part of TensorBoard that shows it, and a description in Markdown.
fn described(tag: &str, plugin: &str, description: String, data: Data) -> Value {
    let plugin = PluginData {
        name: plugin.to_string(),
        content: Vec::new(),
    };
    Value {
        tag: tag.to_string(),
        metadata: Some(SummaryMetadata {
            plugin: Some(plugin),
            description,
        }),
        data: Some(data),
    }
}
