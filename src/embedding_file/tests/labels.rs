//! Labels in other files.

use super::*;

#[test]
fn labels_are_read_from_files_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let rows = written(&folder, "rows.npy", npy("<f4", "(3, 2)", &floats(&ROWS)));
    let tensors = [
        ("embeddings", Dtype::F32, &[3, 1][..], floats(&ROWS[..3])),
        ("labels", Dtype::I64, &[3], integers(&[2, 0, 2])),
    ];
    let text = fixture("text.npy");
    for (path, numbers, classes) in [
        (
            written(&folder, "u1.npy", npy("|u1", "(3,)", &[2, 0, 2])),
            vec![2, 0, 2],
            None,
        ),
        (
            written(&folder, "l.safetensors", safetensors(&tensors, &[])),
            vec![2, 0, 2],
            None,
        ),
        (
            written(&folder, "l.csv", "path,label\na,2\nb,0\nc,2\n"),
            vec![2, 0, 2],
            None,
        ),
        (text, vec![0, 1, 0], Some(vec!["b", "é"])),
        (
            written(&folder, "l.txt", "b\né\nb\n"),
            vec![0, 1, 0],
            Some(vec!["b", "é"]),
        ),
    ] {
        let found = read_with(&rows, Some(&path)).unwrap();
        assert_eq!(found.labels, numbers, "{}", path.display());
        let names = classes.map(|names| names.into_iter().map(String::from).collect());
        assert_eq!(found.classes, names, "{}", path.display());
        assert_eq!(found.has_only_names(), found.classes.is_some());
    }
    // They replace those of the file.
    let numbers = written(&folder, "n.txt", "5\n6\n7\n");
    let own = folder.path().join("l.safetensors");
    assert_eq!(read_with(&own, Some(&numbers)).unwrap().labels, [5, 6, 7]);
    let short = written(&folder, "short.txt", "5\n6\n");
    let message = read_with(&rows, Some(&short)).unwrap_err();
    assert!(message.contains("rows.npy has 3 row(s), but"), "{message}");
    assert!(
        message.contains("short.txt has 2 label(s); give one label for each row"),
        "{message}"
    );
}
#[test]
fn labels_beside_an_array_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let rows = written(&folder, "rows.npy", npy("<f4", "(3, 2)", &floats(&ROWS)));
    let message = read(&rows).unwrap_err();
    assert!(
        message.ends_with(
            "rows.npy has no labels: a .npy file is one array; save theirs as rows.labels.npy, or pass a file with the \
             label of each row with --labels"
        ),
        "{message}"
    );
    written(
        &folder,
        "rows.labels.npy",
        npy("<i2", "(3,)", &[1, 0, 0, 0, 1, 0]),
    );
    assert_eq!(read(&rows).unwrap().labels, [1, 0, 1]);
    assert_eq!(read(&rows).unwrap().classes, None);
    written(
        &folder,
        "rows.json",
        r#"{"paths": ["x", "y", "z"], "classes": ["a", "b"]}"#,
    );
    let found = read(&rows).unwrap();
    assert_eq!(found.classes, Some(vec!["a".into(), "b".into()]));
    assert_eq!(found.paths.unwrap()[2], "z");
    written(
        &folder,
        "rows.json",
        r#"{"paths": ["x", "y", "z"], "classes": ["a"]}"#,
    );
    let message = read(&rows).unwrap_err();
    assert!(
        message.contains("rows.labels.npy: there is no name for class 1"),
        "{message}"
    );
    // Another program's file.
    written(&folder, "rows.json", r#"{"model": "clip"}"#);
    assert_eq!(read(&rows).unwrap().classes, None);
}
