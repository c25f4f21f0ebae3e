//! `loop-dml devices`.

use std::io::{self, IsTerminal};

use clap::Args;
use serde_json::json;

use super::CliError;
use super::interrupt::CommandMonitor;
use super::output::{print_json, print_lines, status};
use crate::backend::{self, BackendReport, DeviceReport, ProbeResult};

const EXAMPLES: &str = "\
Each device of a compiled backend multiplies two small matrices, and the product is checked. \
The first time takes up to a minute. The exit status is 0 even if a device does not work.

Examples:
  loop-dml devices
  loop-dml devices --json
  loop-dml train --backend wgpu --device 1          train on device 1 of wgpu";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DevicesArgs {
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: DevicesArgs) -> Result<(), CliError> {
    let _command = CommandMonitor::install();
    if io::stderr().is_terminal() {
        status("testing every device; the first time takes up to a minute");
    }
    let backends = backend::report();
    match args.json {
        true => print_json(json!({ "backends": backends })),
        false => print_lines(table(&backends)),
    }
}

const HEADINGS: [&str; 7] = [
    "backend",
    "device",
    "name",
    "memory",
    "driver",
    "precision",
    "state",
];

/// Returns a row for each device, and one for each backend without devices. Only the last column is
/// not padded.
fn table(backends: &[BackendReport]) -> String {
    let mut rows = vec![HEADINGS.map(String::from)];
    for backend in backends {
        rows.extend(
            backend
                .devices
                .iter()
                .map(|device| row(backend.name, device)),
        );
        if backend.devices.is_empty() {
            let state = match (&backend.message, backend.compiled) {
                (Some(reason), true) => format!("does not work: {reason}"),
                (Some(reason), false) => reason.clone(),
                (None, _) => "no device".to_string(),
            };
            let [name, empty] = [backend.name, "-"].map(String::from);
            rows.push([
                name,
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty,
                state,
            ]);
        }
    }
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    });
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn row(backend: &str, report: &DeviceReport) -> [String; 7] {
    let unknown = || "unknown".to_string();
    let device = &report.device;
    let mut state = state(&report.probe);
    if let Some(fusion) = report.fusion.as_ref().filter(|_| report.probe.works) {
        state = format!("{state}; with --fusion: {}", self::state(fusion));
    }
    [
        backend.to_string(),
        device.index.to_string(),
        device.name.clone(),
        device.memory_bytes.map_or_else(unknown, |bytes| {
            format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
        }),
        device.driver.clone().unwrap_or_else(|| "-".to_string()),
        match &report.precisions[..] {
            [] => "-".to_string(),
            all => all
                .iter()
                .map(|precision| precision.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        },
        state,
    ]
}

fn state(probe: &ProbeResult) -> String {
    match &probe.message {
        None => "works".to_string(),
        Some(reason) => format!("does not work: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceInfo;
    use crate::model::Precision;

    #[test]
    fn columns_are_aligned_and_backend_without_devices_has_a_row() {
        let works = ProbeResult {
            works: true,
            message: None,
        };
        let device = DeviceReport {
            device: DeviceInfo {
                index: 0,
                name: "A GPU".into(),
                memory_bytes: Some(80 << 30),
                driver: Some("NVIDIA 570.86".into()),
            },
            probe: works.clone(),
            precisions: vec![Precision::F32, Precision::Bf16],
            fusion: Some(works),
        };
        let report = |name, devices, message: Option<&str>| BackendReport {
            name,
            compiled: true,
            works: message.is_none(),
            message: message.map(String::from),
            devices,
        };
        let text = table(&[
            report("cuda", vec![device], None),
            report("wgpu", Vec::new(), Some("no driver")),
        ]);
        assert_eq!(
            text,
            "backend  device  name   memory    driver         precision  state\n\
             cuda     0       A GPU  80.0 GiB  NVIDIA 570.86  f32, bf16  works; with --fusion: works\n\
             wgpu     -       -      -         -              -          does not work: no driver"
        );
    }
}
