//! Structure, escaping and size of reports of drawn splits.

use std::sync::Arc;

use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::evaluated_split::measured_queries;
use super::*;
use crate::config::{Config, Protocol};
use crate::data::{ImageError, Images, Split};
use crate::evaluation::Recall;
use crate::progress::Monitor;
use crate::training::{EndReason, EpochRecord, RunRecord, RunResult, SplitSummary};

type B = burn_flex::Flex;

/// Class names that would break out of text, attributes, scripts and style sheets.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title></svg>\u{202e}gpj",
    "&lt;b&gt; https://example.org/x.png",
];

/// Noise, which compresses worst.
struct Noise {
    side: u32,
}

impl Images for Noise {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        if index == 3 {
            let path = "3.png".into();
            return Err(ImageError::TooLarge { path });
        }
        let mut random = ChaCha8Rng::seed_from_u64(index as u64);
        let noise = |_, _| Rgb(random.random());
        Ok(RgbImage::from_fn(self.side, self.side, noise))
    }

    fn name(&self, index: usize) -> String {
        format!("{}/{index}.png", HOSTILE[index % HOSTILE.len()])
    }
}

/// A split of `images` in each of `classes`, with embeddings of 6 numbers around the class's place.
fn split(classes: usize, images: usize, side: u32, noise: f32) -> EvaluatedSplit {
    let name = |class: usize| format!("{class} {}", HOSTILE[class % HOSTILE.len()]);
    let names: Vec<String> = (0..classes).map(name).collect();
    let labels: Vec<usize> = (0..classes * images).map(|i| i / images).collect();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let values = labels.iter().flat_map(|&label| {
        let place = |axis: usize| ((label * (axis + 3)) % 11) as f32 / 11.0;
        let row: Vec<f32> = (0..6)
            .map(|axis| place(axis) + noise * random.random::<f32>())
            .collect();
        row
    });
    let rows = EmbeddedRows {
        values: values.collect(),
        dim: 6,
        indices: (0..labels.len()).collect(),
        labels: labels.clone(),
        roles: None,
    };
    let split = Split::new("test", names, labels, Arc::new(Noise { side }));
    EvaluatedSplit {
        epoch: 2,
        summary: SplitSummary::new(&split, Monitor::none()).unwrap(),
        split,
        queries: measured_queries::<B>(&rows, &Default::default(), Monitor::none()).unwrap(),
        rows,
        recall: vec![1, 2],
        skipped: vec!["cannot read <3>.png".into()],
        missing: 1,
    }
}

fn files(name: &str, protocol: Protocol, split: &EvaluatedSplit) -> RunFiles {
    let recall = |share: f64| Recall {
        at: [(1, share), (2, share)].into(),
        queries: 8,
    };
    let epoch = |epoch: usize| EpochRecord {
        epoch,
        training: [("loss".to_string(), 1.0 / epoch as f64)].into(),
        recall: Some(recall(0.1 * epoch as f64)),
        map_at_r: (protocol == Protocol::Validated).then_some(0.05 * epoch as f64),
        seconds: 1.0,
    };
    let summary = || split.summary.clone();
    RunFiles {
        path: name.into(),
        config: Config::default(),
        record: RunRecord {
            loop_dml: "0.2.0".into(),
            burn: "0.21.0".into(),
            backend: "<b>flex</b>".into(),
            threads: Some(2),
            processes: None,
            seed: 1,
            precision: Default::default(),
            parameters: 1000,
            weights: Vec::new(),
            protocol,
            train: summary(),
            validation: (protocol == Protocol::Validated).then(summary),
            validation_source: None,
            test: summary(),
            coverage: None,
            config: None,
            changes: Vec::new(),
            skipped: Vec::new(),
        },
        history: vec![
            EpochRecord {
                training: Default::default(),
                ..epoch(0)
            },
            epoch(1),
            epoch(2),
        ],
        result: Some(RunResult {
            reason: EndReason::Epochs,
            epochs: 2,
            protocol,
            best_epoch: 2,
            validation: None,
            validation_map_at_r: None,
            test: recall(0.2),
            test_map_at_r: Some(0.1),
        }),
        has_diverged: false,
    }
}

fn report(split: EvaluatedSplit) -> String {
    let files = files("run <1>", Protocol::Validated, &split);
    let report = RunReport::new::<B>(files, split, &Default::default(), Monitor::none());
    report.unwrap().to_html()
}

/// The values of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    let parts = html.split(&start).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

/// The page without its images, whose base64 may contain any word.
fn without_images(html: &str) -> String {
    let mut parts = html.split("base64,");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        text += part.trim_start_matches(is_base64);
    }
    text
}

/// Checks what is true of each report.
fn check(html: &str) {
    let mut ids = values(html, "id");
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "ids are unique");
    for href in values(html, "href") {
        let target = href.strip_prefix('#').unwrap_or("data");
        let is_known = href == "data:," || ids.contains(&target);
        assert!(is_known, "link to {href}");
    }
    for src in values(html, "src") {
        assert!(src.starts_with("data:image/jpeg;base64,"), "{src}");
    }
    // Names of classes may contain an address, but nothing refers to one.
    for reference in ["url(http", "@import", "=\"http", "=\"//"] {
        assert!(!html.contains(reference), "{reference}");
    }
    assert!(
        html.matches("<script").count() <= 1,
        "only the script of the page"
    );
    assert_eq!(html.matches("<img src=x").count(), 0);
    assert!(!html.contains("<b>") && !html.contains('\u{202e}'));
    let text = without_images(html);
    for number in ["NaN", ">inf", "\"inf"] {
        let at = text.find(number);
        let context = at.map(|at| &text[text.floor_char_boundary(at.saturating_sub(80))..][..90]);
        assert_eq!(context, None, "numbers are finite");
    }
    for (open, close) in [
        ("<section", "</section>"),
        ("<figure", "</figure>"),
        ("<svg", "</svg>"),
        ("<style", "</style>"),
    ] {
        assert_eq!(
            html.matches(open).count(),
            html.matches(close).count(),
            "{open}"
        );
    }
}

#[test]
fn names_are_escaped_and_sections_are_complete() {
    let html = report(split(6, 6, 20, 0.4));
    check(&html);
    for id in [
        "measures",
        "curves",
        "distances",
        "map",
        "worst",
        "best",
        "confusions",
        "skipped",
        "configuration",
        "environment",
    ] {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(html.contains("Protocol <strong>validated</strong>"));
    assert!(html.contains("1 test image(s) are missing"));
    assert!(html.contains("cannot read &lt;3&gt;.png"));
    assert!(
        html.contains("cannot be read"),
        "the broken image has a placeholder"
    );
    assert!(html.contains("✓") && html.contains("✗"));
    assert_eq!(
        report(split(6, 6, 20, 0.4)),
        html,
        "the same run has the same report"
    );
}

/// As many thumbnails as a report has at most, of noise, for which JPEG needs the most bytes.
#[test]
fn size_is_bounded_for_many_images() {
    let split = split(60, 40, 64, 3.0);
    assert_eq!(split.rows.len(), 2400);
    let html = report(split);
    check(&html);
    assert!(html.len() < 5_000_000, "{}", html.len());
    assert!(values(&html, "src").len() > 100);
}

#[test]
fn one_class_no_positive_and_equal_embeddings_have_reports() {
    check(&report(split(1, 5, 8, 0.3)));
    let single = split(5, 1, 8, 0.3);
    assert!(single.queries.is_empty());
    check(&report(single));
    let mut equal = split(4, 6, 8, 0.0);
    equal.rows.values.fill(0.5);
    equal.queries =
        measured_queries::<B>(&equal.rows, &Default::default(), Monitor::none()).unwrap();
    check(&report(equal));
}

#[test]
fn published_protocol_says_that_the_test_split_chose() {
    let split = split(4, 4, 8, 0.2);
    let mut files = files("run", Protocol::Published, &split);
    files.result = None;
    files.has_diverged = true;
    let report = RunReport::new::<B>(files, split, &Default::default(), Monitor::none());
    let html = report.unwrap().to_html();
    check(&html);
    assert!(html.contains("chose the best epoch and is what was measured"));
    assert!(html.contains("The training has not ended") && html.contains("A step diverged"));
}

#[test]
fn a_run_without_evaluation_and_without_epochs_has_a_report() {
    let split = split(2, 2, 8, 0.2);
    let mut files = files("run", Protocol::Validated, &split);
    let reason = "run <x> has no checkpoint".to_string();
    let html = RunReport::without_evaluation(files.clone(), reason.clone()).to_html();
    check(&html);
    assert!(html.contains("was not evaluated: run &lt;x&gt; has no checkpoint"));
    assert!(html.contains("id=\"curves\"") && !html.contains("id=\"map\""));
    (files.history, files.result) = (Vec::new(), None);
    let html = RunReport::without_evaluation(files, reason).to_html();
    check(&html);
    assert!(!html.contains("id=\"curves\""));
}

#[test]
fn several_runs_are_compared_and_different_protocols_and_images_are_said() {
    let (a, b, other) = (
        split(5, 6, 8, 0.2),
        split(5, 6, 8, 0.9),
        split(4, 6, 8, 0.2),
    );
    let run = |name: &str, protocol: Protocol, split: &EvaluatedSplit| {
        (files(name, protocol, split), Ok(split.clone().into()))
    };
    let two = Comparison::new(vec![
        run("a<", Protocol::Validated, &a),
        run("b", Protocol::Validated, &b),
    ]);
    let html = two.to_html();
    check(&html);
    assert!(html.contains("Differences to a&lt;") && html.contains("In points"));
    assert!(!html.contains("The protocols differ") && !html.contains("different test images"));

    let unevaluated = (
        files("d", Protocol::Validated, &a),
        Err("no checkpoint".to_string()),
    );
    let four = Comparison::new(vec![
        run("a", Protocol::Validated, &a),
        run("b", Protocol::Published, &b),
        run("c", Protocol::Validated, &other),
        unevaluated,
    ]);
    let html = four.to_html();
    check(&html);
    assert!(html.contains("The protocols differ") && html.contains("different test images"));
    assert!(html.contains("c is not compared: its test split has other classes"));
    assert!(html.contains("d was not evaluated: no checkpoint"));
}
