//! Files of labels beside embeddings that know the names of their images.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{EmbeddingOutput, Embeddings, LabelsOption, NamedEmbeddings};

/// Writes embeddings and returns the path of their file.
fn embeddings(folder: &TempDir, name: &str, paths: &[&str], labels: &[i64]) -> PathBuf {
    let path = folder.path().join(name);
    let embeddings = NamedEmbeddings {
        rows: vec![1.0; paths.len()],
        dim: 1,
        labels: labels.to_vec(),
        paths: paths.iter().map(ToString::to_string).collect(),
        classes: vec!["a".into(), "b".into()],
    };
    let output = EmbeddingOutput::new(&path).unwrap();
    output.write(&embeddings).unwrap();
    path
}

fn read(embeddings: &Path, labels: &Path) -> Result<Embeddings, String> {
    let labels = LabelsOption {
        name: "--labels",
        file: Some(labels),
    };
    Embeddings::read(embeddings, labels).map_err(|error| error.to_string())
}

const PATHS: [&str; 3] = ["ant/1.png", "cat/1.png", "cat/2.png#0,0,9,9"];

#[test]
fn labels_of_other_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sorted = "path,label\nD:\\set\\ant\\1.png,5\ncat/1.png,6\n./cat/2.png,7\n";
    let unsorted = "path,label\ncat/1.png,6\nant/1.png,5\ncat/2.png,7\n";
    let (sorted_csv, unsorted_csv) = (folder.path().join("s.csv"), folder.path().join("u.csv"));
    fs::write(&sorted_csv, sorted).unwrap();
    fs::write(&unsorted_csv, unsorted).unwrap();
    let reversed = embeddings(
        &folder,
        "reversed.safetensors",
        &["2", "1", "0"],
        &[1, 0, 0],
    );
    for name in ["e.safetensors", "e.npy"] {
        let rows = embeddings(&folder, name, &PATHS, &[-1; 3]);
        assert_eq!(read(&rows, &sorted_csv).unwrap().labels, [5, 6, 7]);
        let message = read(&rows, &unsorted_csv).unwrap_err();
        let reason = format!(
            "u.csv: its row 0 is `cat/1.png`, and row 0 of {} is `ant/1.png`; sort its rows as the paths of the \
             embeddings, or leave out its paths (the column path) if the labels are in the right order",
            rows.display()
        );
        assert!(message.ends_with(&reason), "{message}");
        // A file of embeddings as labels.
        let message = read(&rows, &reversed).unwrap_err();
        assert!(message.contains("its row 0 is `2`"), "{message}");
    }
    let rows = embeddings(&folder, "n.safetensors", &["0", "1", "2"], &[-1; 3]);
    let message = read(&rows, &reversed).unwrap_err();
    assert!(message.contains("its row 0 is `2`"), "{message}");
    // Without paths, labels are in the order of the rows.
    fs::write(&unsorted_csv, "label\n6\n5\n7\n").unwrap();
    assert_eq!(read(&rows, &unsorted_csv).unwrap().labels, [6, 5, 7]);
}

#[test]
fn all_labels_of_a_long_text_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rows = embeddings(&folder, "e.safetensors", &PATHS, &[-1; 3]);
    let long = folder.path().join("long.txt");
    for text in [
        "7\n".repeat(50),
        format!("label,path\n{}", "7,\n".repeat(50)),
    ] {
        fs::write(&long, text).unwrap();
        let message = read(&rows, &long).unwrap_err();
        assert!(
            message.contains("e.safetensors has 3 row(s), but"),
            "{message}"
        );
        assert!(message.contains("long.txt has 50 label(s)"), "{message}");
    }
}
