//! Arrays and archives of NumPy, and files that are known by their content.

use super::*;

#[test]
fn arrays_of_numpy_have_their_exact_values() {
    let folder = tempfile::tempdir().unwrap();
    let labels = written(&folder, "labels.txt", "4\n-1\n");
    // The nearest float16 of 6e-8 is the smallest one.
    let mut halves = ROWS;
    halves[5] = 2f32.powi(-24);
    for (name, rows) in [
        ("c-f2.npy", halves),
        ("fortran-f8-big.npy", ROWS),
        ("version-2-f4.npy", ROWS),
        ("version-3-f4.npy", ROWS),
    ] {
        let found = read_with(&fixture(name), Some(&labels)).unwrap();
        assert_eq!((bits(&found.rows), found.dim), (bits(&rows), 3), "{name}");
        assert_eq!((found.labels, found.classes), (vec![4, -1], None), "{name}");
    }
}
#[test]
fn archives_of_numpy_have_embeddings_and_labels() {
    let stored = read(&fixture("stored.npz")).unwrap();
    assert_eq!((bits(&stored.rows), stored.dim), (bits(&ROWS), 3));
    assert_eq!((stored.labels, stored.classes), (vec![7, 9], None));
    let deflated = read(&fixture("deflated.npz")).unwrap();
    assert_eq!(bits(&deflated.rows), bits(&ROWS));
    assert_eq!(deflated.labels, [0, -1]);
    assert_eq!(deflated.classes, Some(vec!["猫".into()]));
    assert_eq!(
        read(&fixture("unnamed.npz")).unwrap_err(),
        "cannot read embeddings from assets/fixtures/numpy/unnamed.npz: it has no array `embeddings`; rename its \
         array `arr_0` to it"
    );
}
#[test]
fn arrays_that_are_not_embeddings_are_refused_by_name() {
    for (name, reason) in [
        (
            "objects.npy",
            "an array of Python objects, which is stored as a pickle and not read",
        ),
        (
            "three-axes.npy",
            "the array has 3 axes [1, 2, 3]; save a matrix [N, D]",
        ),
        ("text.npy", "the array has 1 axes [3]"),
    ] {
        let message = read(&fixture(name)).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
}
#[test]
fn formats_are_known_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let labels = written(&folder, "labels.txt", "4\n4\n");
    let array = written(
        &folder,
        "a.safetensors",
        npy("<f4", "(2, 3)", &floats(&ROWS)),
    );
    assert_eq!(
        bits(&read_with(&array, Some(&labels)).unwrap().rows),
        bits(&ROWS)
    );
    let tensors = [
        ("embeddings", Dtype::F32, &[2, 3][..], floats(&ROWS)),
        ("labels", Dtype::I64, &[2], integers(&[1, 1])),
    ];
    let file = written(&folder, "b.npy", safetensors(&tensors, &[]));
    assert_eq!(read(&file).unwrap().labels, [1, 1]);
    for contents in [
        &b""[..],
        b"{}",
        b"1.0,2.0\n",
        b"<!DOCTYPE html>",
        &[0; 5000],
    ] {
        let path = written(&folder, "c.npy", contents);
        let message = read(&path).unwrap_err();
        assert!(
            message.contains("neither safetensors nor Parquet nor NumPy's .npy or .npz"),
            "{message}"
        );
    }
}
#[cfg(unix)]
#[test]
fn endless_files_end_at_once() {
    let message = read(Path::new("/dev/zero")).unwrap_err();
    assert!(
        message.starts_with("/dev/zero is not a file of embeddings"),
        "{message}"
    );
    let message = read_with(&fixture("c-f2.npy"), Some(Path::new("/dev/zero"))).unwrap_err();
    assert!(
        message.contains("cannot read labels from /dev/zero: it is not a text"),
        "{message}"
    );
}
#[test]
fn truncated_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = [
        ("embeddings", Dtype::F32, &[2, 3][..], floats(&ROWS)),
        ("labels", Dtype::I64, &[2], integers(&[1, 1])),
    ];
    for whole in [
        npy("<f4", "(2, 3)", &floats(&ROWS)),
        safetensors(&tensors, &[]),
        fs::read(fixture("stored.npz")).unwrap(),
        fs::read(fixture("deflated.npz")).unwrap(),
    ] {
        for length in 0..whole.len() {
            read(&written(&folder, "cut", &whole[..length])).unwrap_err();
        }
    }
    let huge = npy("<f4", "(1000000000000, 1000000000000)", &floats(&ROWS));
    let message = read(&written(&folder, "huge.npy", huge)).unwrap_err();
    assert!(message.contains("is larger than any file"), "{message}");
    let huge = npy("<f4", "(1000000000, 1000)", &floats(&ROWS));
    let message = read(&written(&folder, "huge.npy", huge)).unwrap_err();
    assert!(
        message.contains("takes 4000000000000 bytes, and 24 follow"),
        "{message}"
    );
}
