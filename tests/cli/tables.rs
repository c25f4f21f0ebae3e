//! Parquet files in `embed`, `evaluate`, `loss` and `bench`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{draw_folder, loop_dml, refusal, train_small};

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let output = loop_dml(directory)
        .args(arguments)
        .arg("--json")
        .assert()
        .success();
    let mut found: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let object = found.as_object_mut().unwrap();
    for key in ["embeddings", "gallery", "seconds", "peak_mib"] {
        object.remove(key);
    }
    found
}

#[test]
fn tables_serve_as_other_files_of_embeddings() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    train_small(here, "run", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 4, 4);
    for output in ["photos.safetensors", "photos.parquet"] {
        loop_dml(here)
            .args(["embed", "run", "--images", "photos", "--output", output])
            .assert()
            .success();
    }
    let table = fs::read(here.join("photos.parquet")).unwrap();
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
    for arguments in [
        &["evaluate", "--per-class", "--embeddings", "FILE"][..],
        &[
            "evaluate",
            "--embeddings",
            "FILE",
            "--labels",
            "photos.parquet",
        ],
        &[
            "loss",
            "--loss",
            "triplet",
            "--negatives",
            "none",
            "--embeddings",
            "FILE",
        ],
        &["bench", "neighbours", "--embeddings", "FILE"],
    ] {
        let of = |file: &str| {
            let arguments: Vec<&str> = arguments
                .iter()
                .map(|&argument| match argument {
                    "FILE" => file,
                    argument => argument,
                })
                .collect();
            json(here, &arguments)
        };
        assert_eq!(
            of("photos.parquet"),
            of("photos.safetensors"),
            "{arguments:?}"
        );
    }
    // Classes of the two files are matched by name.
    let gallery = json(
        here,
        &[
            "evaluate",
            "--embeddings",
            "photos.parquet",
            "--gallery",
            "photos.safetensors",
        ],
    );
    assert_eq!(gallery["recall"]["1"], 1.0);
    let again = ["embed", "run", "--images", "photos", "--output"];
    let message = refusal(here, &[&again[..], &["photos.parquet"]].concat());
    assert!(message.contains("photos.parquet exists"), "{message}");
}

#[test]
fn errors_name_the_file_the_column_and_the_row() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/parquet");
    fs::copy(fixtures.join("lengths.parquet"), here.join("x.parquet")).unwrap();
    for command in [
        &["evaluate"][..],
        &["loss", "--loss", "triplet", "--negatives", "none"],
        &["bench", "neighbours"],
    ] {
        let message = refusal(
            here,
            &[command, &["--embeddings", "x.parquet"][..]].concat(),
        );
        assert!(
            message.contains(
                "cannot read embeddings from x.parquet: row 1 (1.png) of its column `embedding` has 3 number(s)"
            ),
            "{message}"
        );
    }
}
