//! The measures of a split during training, in one line.

use crate::training::Measured;

/// Recall@K and MAP@R in per cent, such as `R@1 25.00  R@2 50.00  MAP@R 12.50`; `unit` follows each number.
pub(super) fn measured_line(measured: &Measured, unit: &str) -> String {
    let recall = measured.recall.at.iter();
    let recall = recall.map(|(k, &share)| (format!("R@{k}"), share));
    let map_at_r = measured.map_at_r.map(|share| ("MAP@R".to_string(), share));
    let parts: Vec<String> = recall
        .chain(map_at_r)
        .map(|(name, share)| format!("{name} {:.2}{unit}", 100.0 * share))
        .collect();
    parts.join("  ")
}
