//! `data duplicates`: of embeddings, and of a dataset with a run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{draw_folder, loop_dml, npy, refusal, train_small, usage_error};

/// Writes embeddings on a line as `NAME.npy` with paths and classes.
fn embeddings(folder: &Path, name: &str, images: &[(f32, i64)]) {
    let count = images.len();
    let rows: Vec<u8> = images
        .iter()
        .flat_map(|image| image.0.to_le_bytes())
        .collect();
    let labels: Vec<u8> = images
        .iter()
        .flat_map(|image| image.1.to_le_bytes())
        .collect();
    let write = |end: &str, bytes: &[u8]| fs::write(folder.join(format!("{name}{end}")), bytes);
    write(".npy", &npy("<f4", &format!("({count}, 1)"), &rows)).unwrap();
    write(".labels.npy", &npy("<i8", &format!("({count},)"), &labels)).unwrap();
    let paths: Vec<String> = (0..count).map(|i| format!("{name}/{i}.jpg")).collect();
    let names = json!({"paths": paths, "classes": ["cat", "dog"]});
    write(".json", names.to_string().as_bytes()).unwrap();
}

fn report(directory: &Path, arguments: &[&str]) -> Value {
    let output = loop_dml(directory)
        .args(["data", "duplicates", "--json"])
        .args(arguments)
        .assert()
        .success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn files_of_embeddings_are_splits() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let train = [
        (0.0, 0),
        (1.0, 0),
        (2.0, 0),
        (10.0, 1),
        (11.0, 1),
        (12.0, 1),
        (1.6, 1),
        (12.001, 0),
    ];
    embeddings(here, "train", &train);
    embeddings(here, "test", &[(2.001, 0), (30.0, -1)]);
    let files = [
        "--embeddings",
        "train.npy",
        "--embeddings",
        "test.npy",
        "-k",
        "4",
    ];
    let found = report(here, &files);
    assert_eq!(found["splits"], json!({"test": 2, "train": 8}));
    let groups = found["groups"].as_array().unwrap();
    let relations: Vec<&Value> = groups.iter().map(|group| &group["relation"]).collect();
    assert_eq!(relations, ["across-splits", "across-classes"]);
    assert_eq!(
        groups[0]["images"],
        json!([
            {"path": "train/2.jpg", "row": 2, "split": "train", "label": "cat"},
            {"path": "test/0.jpg", "row": 0, "split": "test", "label": "cat"},
        ])
    );
    let mislabelled: Vec<&Value> = found["mislabelled"].as_array().unwrap().iter().collect();
    let named: Vec<(&Value, &Value)> = mislabelled
        .iter()
        .map(|found| (&found["path"], &found["suggested"]))
        .collect();
    assert_eq!(
        named,
        [
            (&json!("train/6.jpg"), &json!("cat")),
            (&json!("train/7.jpg"), &json!("dog")),
        ]
    );

    let output = loop_dml(here)
        .args([
            "data",
            "duplicates",
            "--html",
            "page.html",
            "--threshold",
            "0",
        ])
        .args(files)
        .assert()
        .success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    for line in [
        "train.npy, test.npy: 10 images (8 in train, 2 in test)",
        "no near duplicates",
        "2 likely mislabelled image(s)",
        "  3 of 3 neighbours are cat, 0 are dog: train/6.jpg",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let page = fs::read_to_string(here.join("page.html")).unwrap();
    assert!(page.contains("Likely mislabelled (2)") && !page.contains("Across splits"));
}

#[test]
fn images_of_a_dataset_are_compared_across_splits_and_classes() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    train_small(here, "run", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 4, 6);
    // Written again at another quality: other bytes, nearly the same pixels.
    let image = |name: &str| here.join("photos").join(name);
    let picture = image::open(image("class-00/0.png")).unwrap().into_rgb8();
    picture.save(image("class-03/leak.bmp")).unwrap();
    let picture = image::open(image("class-01/2.png")).unwrap().into_rgb8();
    picture.save(image("class-01/again.bmp")).unwrap();
    let dataset = [
        "--dataset",
        "folder",
        "--root",
        "photos",
        "--network",
        "run",
        "-k",
        "5",
    ];
    let found = report(here, &[&dataset[..], &["--html", "page.html"]].concat());
    assert_eq!(found["splits"], json!({"test": 13, "train": 13}));
    let groups = found["groups"].as_array().unwrap();
    let holds = |relation: &str, paths: [&str; 2]| {
        groups.iter().any(|group| {
            let images = group["images"].as_array().unwrap();
            let has = |path: &str| images.iter().any(|image| image["path"] == path);
            group["relation"] == relation && paths.into_iter().all(has)
        })
    };
    let leak = ["photos/class-00/0.png", "photos/class-03/leak.bmp"];
    assert!(holds("across-splits", leak), "{groups:?}");
    let again = ["photos/class-01/2.png", "photos/class-01/again.bmp"];
    assert!(holds("within-class", again), "{groups:?}");
    let page = fs::read_to_string(here.join("page.html")).unwrap();
    assert!(page.contains("Across splits (") && page.contains("<img "));
}

#[test]
fn what_is_left_out_of_a_dataset_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    train_small(here, "run", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 4, 4);
    fs::create_dir(here.join("photos/empty")).unwrap();
    let dataset = ["--dataset", "folder", "--root", "photos"];
    let output = loop_dml(here)
        .args(["data", "duplicates", "--network", "run"])
        .args(dataset)
        .assert()
        .success();
    let warnings = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        warnings.contains("photos/empty contains no image"),
        "{warnings}"
    );
    assert!(warnings.contains("1 in all"), "{warnings}");
}

#[test]
fn wrong_arguments_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    embeddings(here, "a", &[(0.0, 0), (1.0, 1)]);
    fs::create_dir(here.join("b")).unwrap();
    fs::copy(here.join("a.npy"), here.join("b/a.npy")).unwrap();
    let duplicates = ["data", "duplicates"];
    // The labels that were found are a line too.
    let message = usage_error(
        here,
        &[
            &duplicates[..],
            &["--embeddings", "a.npy", "--embeddings", "b/a.npy"],
        ]
        .concat(),
    );
    assert!(message.contains("two files have this name"), "{message}");
    let message = refusal(
        here,
        &[
            &duplicates[..],
            &["--dataset", "folder", "--root", "b", "--network", "c"],
        ]
        .concat(),
    );
    assert!(message.contains("c does not exist"), "{message}");
    for (arguments, expected) in [
        (
            &["--dataset", "folder", "--root", "b"][..],
            "--network <RUN|FILE>",
        ),
        (&["--network", "run"], "--dataset <NAME>"),
        (
            &["--embeddings", "a.npy", "--dataset", "folder"],
            "cannot be used with",
        ),
        (
            &["--embeddings", "a.npy", "--threshold", "-1"],
            "give a distance, 0 or more",
        ),
        (
            &["--embeddings", "a.npy", "--threshold", "nan"],
            "give a distance, 0 or more",
        ),
        (&["--embeddings", "a.npy", "-k", "0"], "from 1 to 1000"),
    ] {
        let message = usage_error(here, &[&duplicates[..], arguments].concat());
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
