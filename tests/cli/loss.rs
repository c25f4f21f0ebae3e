//! `loop-dml loss`: the value and gradient of a loss of embeddings from a file.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use crate::support::{loop_dml, refusal};

const NAMES: [&str; 6] = [
    "triplet",
    "hphn-triplet",
    "lifted-structure",
    "n-pair",
    "multi-similarity",
    "contrastive",
];
const NEGATIVES: [&str; 3] = ["none", "embedding-expansion", "loop"];

/// Three classes of two rows in the plane, with lengths 1, 2 and 1/2.
const ROWS: [[f32; 2]; 6] = [
    [1.0, 0.0],
    [0.6, 0.8],
    [0.0, 2.0],
    [-1.2, 1.6],
    [0.3, -0.4],
    [0.4, -0.3],
];
const LABELS: [i64; 6] = [7, 7, 3, 3, 9, 9];

fn write(path: &Path, rows: &[[f32; 2]], labels: &[i64]) {
    let row_bytes: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let label_bytes: Vec<u8> = labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    let embeddings = TensorView::new(Dtype::F32, vec![rows.len(), 2], &row_bytes).unwrap();
    let labels = TensorView::new(Dtype::I64, vec![labels.len()], &label_bytes).unwrap();
    let tensors = [("embeddings", embeddings), ("labels", labels)];
    fs::write(path, safetensors::serialize(tensors, None).unwrap()).unwrap();
}

fn arguments<'a>(loss: &'a str, negatives: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["loss", "--embeddings", "batch.safetensors", "--loss", loss];
    arguments.extend(["--negatives", negatives]);
    arguments.extend(more);
    arguments
}

fn measured(directory: &Path, loss: &str, negatives: &str, more: &[&str]) -> Value {
    let output = loop_dml(directory)
        .args(arguments(loss, negatives, more))
        .arg("--json")
        .assert()
        .success()
        .get_output()
        .clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_combination_has_a_value_and_its_gradient() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&at("batch.safetensors"), &ROWS, &LABELS);
    for loss in NAMES {
        for negatives in NEGATIVES {
            let name = format!("{loss}-{negatives}.safetensors");
            let found = measured(directory.path(), loss, negatives, &["--gradients", &name]);
            let anchors = if negatives == "loop" { 3 } else { 6 };
            assert_eq!(found["anchors"], anchors, "{name}: {found}");
            let (sum, mean) = (
                found["sum"].as_f64().unwrap(),
                found["mean"].as_f64().unwrap(),
            );
            assert!(
                (sum - mean * f64::from(anchors)).abs() < 1e-6 * sum.max(1.0),
                "{name}"
            );
            let active = found["active"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&active), "{name}");

            let bytes = fs::read(at(&name)).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let gradient = file.tensor("gradient").unwrap();
            assert_eq!(
                (gradient.dtype(), gradient.shape()),
                (Dtype::F32, &[6, 2][..])
            );
            // A small step along the gradient raises the loss by its length times the step.
            let numbers: Vec<f32> = gradient
                .data()
                .chunks(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            let square: f64 = numbers.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert_eq!(square > 0.0, sum > 0.0, "{name}: {numbers:?}");
            if square == 0.0 {
                continue;
            }
            let length = square.sqrt() as f32;
            let mut moved = ROWS;
            for (row, gradient) in moved.iter_mut().zip(numbers.chunks(2)) {
                row[0] += 1e-3 * gradient[0] / length;
                row[1] += 1e-3 * gradient[1] / length;
            }
            let step = tempfile::tempdir().unwrap();
            write(&step.path().join("batch.safetensors"), &moved, &LABELS);
            let raised = measured(step.path(), loss, negatives, &[]);
            let slope = (raised["mean"].as_f64().unwrap() - mean) / 1e-3;
            assert!(
                (slope / f64::from(length) - 1.0).abs() < 0.05,
                "{name}: slope {slope}, gradient {length}"
            );
        }
    }
}

#[test]
fn variants_of_loop_have_their_anchors_and_take_any_number_of_rows() {
    let directory = tempfile::tempdir().unwrap();
    // Classes of two, three and one row.
    let labels = [7, 7, 3, 3, 3, 9];
    write(&directory.path().join("batch.safetensors"), &ROWS, &labels);
    let all = ["--set", "negatives.pairs=all"];
    for (anchors, count) in [("pairs", 1 + 3), ("images", 2 + 3), ("points", 2 + 3)] {
        let set = format!("negatives.anchors={anchors}");
        let arguments = [&all[..], &["--set", &set]].concat();
        for loss in NAMES {
            let found = measured(directory.path(), loss, "loop", &arguments);
            assert_eq!(found["anchors"], count, "{loss}, {anchors}: {found}");
            assert_eq!(
                (&found["pairs"], &found["anchors_are"]),
                (&"all".into(), &anchors.into())
            );
        }
    }
    let consecutive = arguments("n-pair", "loop", &["--set", "negatives.anchors=images"]);
    let message = refusal(directory.path(), &consecutive);
    assert!(
        message.contains("row 2") && message.contains("pair images"),
        "{message}"
    );
    let other = refusal(directory.path(), &arguments("n-pair", "none", &all));
    assert!(
        other.contains("`negatives.pairs` has no effect with"),
        "{other}"
    );
}

#[test]
fn pairs_that_need_too_much_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let labels: Vec<i64> = (0..256).map(|row| row / 128).collect();
    write(
        &folder.path().join("batch.safetensors"),
        &[[1.0, 0.0]; 256],
        &labels,
    );
    let all = arguments("n-pair", "loop", &["--set", "negatives.pairs=all"]);
    let message = refusal(folder.path(), &all);
    assert!(
        message.contains("a batch has 16256 pairs, but at most 4096"),
        "{message}"
    );
}

#[test]
fn rows_are_scaled_exactly_when_training_would_scale_them() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("batch.safetensors"), &ROWS, &LABELS);
    let mean = |loss: &str, more: &[&str]| {
        measured(directory.path(), loss, "none", more)["mean"]
            .as_f64()
            .unwrap()
    };
    let unit = ROWS.map(|[x, y]| {
        let (x, y) = (f64::from(x), f64::from(y));
        [x / x.hypot(y), y / x.hypot(y)]
    });
    let distance = |i: usize, j: usize| (unit[i][0] - unit[j][0]).hypot(unit[i][1] - unit[j][1]);
    let losses = (0..6).map(|i| {
        let others = (0..6).filter(|&j| LABELS[j] != LABELS[i]);
        let nearest = others.map(|j| distance(i, j)).fold(f64::INFINITY, f64::min);
        (distance(i, i ^ 1) - nearest + 0.2).max(0.0)
    });
    let expected = losses.sum::<f64>() / 6.0;
    assert!(expected > 0.0);
    assert!((mean("hphn-triplet", &[]) - expected).abs() < 1e-6);
    // The result does not depend on the length of the rows.
    for factor in [1e-20, 1e18] {
        let longer = ROWS.map(|row| row.map(|x| factor * x));
        let elsewhere = tempfile::tempdir().unwrap();
        write(
            &elsewhere.path().join("batch.safetensors"),
            &longer,
            &LABELS,
        );
        let found = measured(elsewhere.path(), "hphn-triplet", "none", &[]);
        assert!((found["mean"].as_f64().unwrap() - expected).abs() < 1e-6);
    }
    // N-pair does not scale the rows.
    let unscaled = mean("n-pair", &[]);
    let scaled = mean("n-pair", &["--set", "model.normalize=true"]);
    assert!((unscaled - scaled).abs() > 1e-2, "{unscaled}, {scaled}");
}

#[test]
fn lifted_structure_matches_the_formula() {
    let directory = tempfile::tempdir().unwrap();
    let rows = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
    write(
        &directory.path().join("batch.safetensors"),
        &rows,
        &[0, 0, 1, 1],
    );
    let found = measured(directory.path(), "lifted-structure", "none", &[]);
    // For every image, d+ = sqrt 2 and the negative distances are sqrt 2 and 2.
    let root = 2f64.sqrt();
    let expected = ((-root).exp() + (-2f64).exp()).ln() + root + 0.2;
    assert!((found["mean"].as_f64().unwrap() - expected).abs() < 1e-6);
    assert_eq!(found["active"], 1.0);
}

#[test]
fn errors_name_the_row_and_existing_files_are_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("batch.safetensors");
    let refused = |more: &[&str]| refusal(directory.path(), &arguments("n-pair", "loop", more));

    assert!(refused(&[]).contains("cannot read embeddings from"));
    fs::write(&file, "no tensors").unwrap();
    assert!(refused(&[]).contains("is not a file of embeddings"));
    write(&file, &ROWS[..5], &LABELS[..5]);
    assert!(refused(&[]).contains("row 4"));
    write(&file, &ROWS, &[7, 7, 3, 3, 7, 7]);
    assert!(refused(&[]).contains("sort the rows by label"));
    let mut broken = ROWS;
    broken[3][1] = f32::NAN;
    write(&file, &broken, &LABELS);
    assert!(refused(&[]).contains("row 3"));

    let mut zero = ROWS;
    zero[2] = [0.0; 2];
    write(&file, &zero, &LABELS);
    let scaled = refusal(directory.path(), &arguments("triplet", "none", &[]));
    assert!(
        scaled.contains("row 2") && scaled.contains("length 0"),
        "{scaled}"
    );

    write(&file, &ROWS, &LABELS);
    let before = fs::read(&file).unwrap();
    assert!(refused(&["--gradients", "batch.safetensors"]).contains("not overwritten"));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(refused(&["--set", "training.epochs=3"]).contains("`training.epochs`"));
    assert!(refused(&["--set", "loss.margin=3"]).contains("`loss.margin`"));
    assert!(refused(&["--set", "loss.reduction=mean"]).contains("`loss.reduction`"));
    assert!(refused(&["--set", "model.normalise=false"]).contains("`model.normalize`"));
    assert!(refused(&["--gradients", "nowhere/g.safetensors"]).contains("create it first"));
    assert!(refused(&["--set", "negatives.points=3"]).contains("`negatives.points`"));
}

#[test]
fn batches_that_need_too_much_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let count = 60_000;
    write(
        &folder.path().join("batch.safetensors"),
        &vec![[1.0, 0.0]; count],
        &vec![3; count],
    );
    let message = refusal(folder.path(), &arguments("hphn-triplet", "loop", &[]));
    assert!(
        message.contains("has 60000 rows, but a batch has at most 8192"),
        "{message}"
    );
    let message = refusal(folder.path(), &["bench", "loss", "--batch", "100000"]);
    assert!(message.contains("give 8192 or less"), "{message}");
}
