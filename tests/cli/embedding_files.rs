//! Files of embeddings as other programs write them, in `evaluate` and `loss`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{loop_dml, npy, refusal};

/// Three classes of two rows in the plane. The nearest neighbours of rows 0 and 2 are each other.
const ROWS: [[f32; 2]; 6] = [
    [0.0, 1.0],
    [0.0, 3.0],
    [1.5, 1.0],
    [3.0, 1.0],
    [9.0, 9.0],
    [9.0, 8.0],
];

/// Writes `ROWS` as big-endian f64 to `rows.npy`, and the labels as i16 to `labels.npy`.
fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let values: Vec<u8> = ROWS
        .iter()
        .flatten()
        .flat_map(|&x| f64::from(x).to_be_bytes())
        .collect();
    fs::write(
        directory.path().join("rows.npy"),
        npy(">f8", "(6, 2)", &values),
    )
    .unwrap();
    let labels = [7i16, 7, 3, 3, 9, 9].map(i16::to_le_bytes).concat();
    fs::write(
        directory.path().join("labels.npy"),
        npy("<i2", "(6,)", &labels),
    )
    .unwrap();
    directory
}

fn json(directory: &Path, arguments: &[&str]) -> (Value, String) {
    let output = loop_dml(directory)
        .args(arguments)
        .arg("--json")
        .assert()
        .success();
    let output = output.get_output();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), errors)
}

#[test]
fn array_is_evaluated_with_labels_of_a_file_or_beside_it() {
    let directory = prepared();
    let here = directory.path();
    let evaluate = ["evaluate", "--embeddings", "rows.npy", "--recall", "1,2,5"];
    let message = refusal(here, &evaluate);
    assert!(
        message.contains(
            "rows.npy has no labels: a .npy file is one array; save theirs as rows.labels.npy, or pass a file with the \
             label of each row with --labels"
        ),
        "{message}"
    );
    let (found, _) = json(here, &[&evaluate[..], &["--labels", "labels.npy"]].concat());
    // Row 0 is at 2 from row 1, and at 1.5 from row 2; row 2 is at 1.5 from rows 0 and 3, a tie that counts
    // against it.
    assert_eq!(
        found["recall"],
        serde_json::json!({"1": 4.0 / 6.0, "2": 1.0, "5": 1.0})
    );
    assert_eq!(found["queries"], 6);
    let names = "path,label\n0,b\n1,b\n2,a\n3,a\n4,c\n5,c\n";
    fs::write(here.join("names.csv"), names).unwrap();
    let (named, _) = json(here, &[&evaluate[..], &["--labels", "names.csv"]].concat());
    assert_eq!(named["recall"], found["recall"]);
    fs::rename(here.join("labels.npy"), here.join("rows.labels.npy")).unwrap();
    let (beside, printed) = json(here, &evaluate);
    assert_eq!(beside["recall"], found["recall"]);
    assert!(
        printed.contains("the labels of rows.npy are those in rows.labels.npy"),
        "{printed}"
    );
    fs::write(here.join("names.txt"), "b\nb\na\na\nc\nc\n").unwrap();
    let labels = ["--labels", "names.txt", "--recall", "6"];
    let message = refusal(
        here,
        &[&["evaluate", "--embeddings", "rows.npy"], &labels[..]].concat(),
    );
    assert!(message.contains("Recall@6 needs 6 neighbours"), "{message}");
}

#[test]
fn gallery_has_labels_of_another_option() {
    let directory = prepared();
    let here = directory.path();
    fs::copy(here.join("rows.npy"), here.join("gallery.npy")).unwrap();
    let evaluate = [
        "evaluate",
        "--embeddings",
        "rows.npy",
        "--labels",
        "labels.npy",
        "--gallery",
        "gallery.npy",
    ];
    let message = refusal(here, &evaluate);
    assert!(
        message.contains("gallery.npy has no labels")
            && message.contains("each row with --gallery-labels"),
        "{message}"
    );
    let given = [&evaluate[..], &["--gallery-labels", "labels.npy"]].concat();
    let (found, printed) = json(here, &given);
    // Every row finds itself in the copy. Recall@8 of 6 rows is left out.
    assert_eq!(
        found["recall"],
        serde_json::json!({"1": 1.0, "2": 1.0, "4": 1.0})
    );
    assert!(
        printed.contains(
            "warning: Recall@8 is left out, because a query is searched among 6 image(s)"
        ),
        "{printed}"
    );
    fs::write(here.join("names.txt"), "b\nb\na\na\nc\nc\n").unwrap();
    let message = refusal(
        here,
        &[&evaluate[..], &["--gallery-labels", "names.txt"]].concat(),
    );
    assert!(
        message.contains("the labels of gallery.npy are names, and those of rows.npy are numbers"),
        "{message}"
    );
}

#[test]
fn loss_reads_arrays_and_writes_the_gradient_in_the_format_of_its_name() {
    let directory = prepared();
    let here = directory.path();
    let loss = [
        "loss",
        "--embeddings",
        "rows.npy",
        "--labels",
        "labels.npy",
        "--loss",
        "triplet",
        "--negatives",
        "none",
    ];
    let gradients = |name| [&loss[..], &["--gradients", name]].concat();
    for name in ["g", "g.npz", "g.json"] {
        let message = refusal(here, &gradients(name));
        assert!(message.contains("use .safetensors or .npy"), "{message}");
        assert!(!here.join(name).exists());
    }
    json(here, &gradients("g.npy"));
    json(here, &gradients("g.safetensors"));
    let numpy = fs::read(here.join("g.npy")).unwrap();
    assert!(numpy.starts_with(b"\x93NUMPY\x01\x00"));
    assert!(
        String::from_utf8_lossy(&numpy[..128])
            .contains("'descr': '<f4', 'fortran_order': False, 'shape': (6, 2)")
    );
    let tensors = fs::read(here.join("g.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&tensors).unwrap();
    let gradient = tensors.tensor("gradient").unwrap().data();
    assert_eq!(&numpy[128..], gradient);
    assert!(gradient.iter().any(|&byte| byte != 0));
}

#[cfg(unix)]
#[test]
fn endless_files_end_at_once() {
    let directory = prepared();
    let here = directory.path();
    let message = refusal(here, &["evaluate", "--embeddings", "/dev/zero"]);
    assert!(
        message.contains("/dev/zero is not a file of embeddings"),
        "{message}"
    );
    let message = refusal(
        here,
        &["embed", "/dev/zero", "--images", ".", "--output", "x.npy"],
    );
    assert!(message.contains("/dev/zero"), "{message}");
}

const MEASURED: [&str; 5] = [
    "evaluate",
    "--embeddings",
    "rows.npy",
    "--labels",
    "labels.npy",
];

/// The nearest positives have the ranks 2, 1, 2, 1, 1 and 1: of two images as near, that of the other class is
/// first.
#[test]
fn all_measures_are_printed_as_text_json_and_csv() {
    let directory = prepared();
    let here = directory.path();
    let options = [
        "--recall",
        "1,2",
        "--clustering",
        "--intervals",
        "--intervals-over",
        "classes",
        "--per-class",
    ];
    let arguments = [&MEASURED[..], &options].concat();
    let (report, _) = json(here, &arguments);
    let near = |key: &str, expected: f64| {
        let value = report[key].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-6, "{key} {value}");
    };
    assert_eq!(report["recall"]["2"], 1.0);
    for (key, expected) in [
        ("map_at_r", 4.0 / 6.0),
        ("r_precision", 4.0 / 6.0),
        ("map", 5.0 / 6.0),
        ("nmi", 1.0),
        ("ami", 1.0),
        ("f1", 1.0),
        ("inertia", 3.625),
    ] {
        near(key, expected);
    }
    assert_eq!(report["converged"], true);
    assert_eq!(report["distances"]["intra"], 1.5);
    assert!(report["distances"]["negative_margin"].as_f64().unwrap() > 0.0);
    assert_eq!(
        report["recall_interval"]["2"],
        serde_json::json!([1.0, 1.0])
    );
    // Two of the three classes find half of their positives first, one all.
    assert_eq!(report["map_at_r_interval"], serde_json::json!([0.5, 1.0]));
    let classes = report["classes"].as_array().unwrap();
    let names: Vec<&str> = classes
        .iter()
        .map(|class| class["class"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["7", "3", "9"]);
    assert_eq!(classes[0]["recall"]["1"], 0.5);

    let output = loop_dml(here)
        .args(&arguments)
        .args(["--csv", "measures.csv"])
        .assert()
        .success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    for line in [
        "Recall@1      66.67 %  [50.00, 100.00]",
        "MAP@R         66.67 %  [50.00, 100.00]",
        "mAP           83.33 %  [75.00, 100.00]",
        "NMI          100.00 %",
        "inertia      3.625000",
        "mean distance in a class                1.5000",
        "       2  100.00  100.00  100.00  9",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let csv = fs::read_to_string(here.join("measures.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0]
            .starts_with("class,queries,recall_at_1,recall_at_1_low,recall_at_1_high,recall_at_2,")
    );
    assert!(lines[1].starts_with(",6,0.6666"), "{csv}");
    assert!(lines[0].contains(",nmi,ami,f1,inertia,converged,intra,inter,"));
    assert!(lines[1].contains(",true,1.5,"), "{csv}");
    assert!(lines[2].starts_with("7,2,0.5,,,1,"), "{csv}");
    assert_eq!(lines.len(), 5);

    let exists = refusal(here, &[&MEASURED[..], &["--csv", "measures.csv"]].concat());
    assert!(exists.contains("measures.csv exists"), "{exists}");
    let other = refusal(here, &[&MEASURED[..], &["--csv", "measures.json"]].concat());
    assert!(other.contains("use the extension .csv"), "{other}");
}

#[test]
fn evaluations_are_timed() {
    let directory = tempfile::tempdir().unwrap();
    let size = ["--count", "120", "--classes", "20", "--dim", "16"];
    let (neighbours, _) = json(
        directory.path(),
        &[&["bench", "neighbours"], &size[..]].concat(),
    );
    assert!(neighbours["seconds"].as_f64().unwrap() > 0.0);
    assert!(
        neighbours["map_at_r"].as_f64().unwrap() <= neighbours["r_precision"].as_f64().unwrap()
    );
    assert!(neighbours["recall"]["100"].as_f64().unwrap() > 0.9);
    assert_eq!(neighbours["recall"].as_object().unwrap().len(), 3);
    let iterations = ["bench", "clustering", "--iterations", "3"];
    let (clustering, _) = json(directory.path(), &[&iterations, &size[..]].concat());
    assert!((1..=3).contains(&clustering["iterations"].as_u64().unwrap()));
    let directory = prepared();
    fs::rename(
        directory.path().join("labels.npy"),
        directory.path().join("rows.labels.npy"),
    )
    .unwrap();
    let file = ["bench", "neighbours", "--embeddings", "rows.npy"];
    let (neighbours, _) = json(directory.path(), &file);
    assert_eq!(neighbours["queries"], 6);
    assert_eq!(neighbours["recall"].as_object().unwrap().len(), 1);
    let message = refusal(directory.path(), &["bench", "neighbours", "--count", "5"]);
    assert!(
        message.contains("give at least 11317, more than one embedding for each class"),
        "{message}"
    );
}
