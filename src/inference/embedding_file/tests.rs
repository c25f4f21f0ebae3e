//! Files of embeddings and labels as other programs write them, and the messages of files that are refused.
//!
//! `assets/fixtures/numpy.py` wrote the files of NumPy.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::{Embeddings, LabelsOption};

const FIXTURES: &str = "assets/fixtures/numpy";

/// The numbers of the fixtures in single precision.
const ROWS: [f32; 6] = [1.5, -2.0, 1365.0 / 4096.0, 65504.0, 0.0, 6e-8];

fn read_with(path: &Path, labels: Option<&Path>) -> Result<Embeddings, String> {
    let labels = LabelsOption {
        name: "--labels",
        file: labels,
    };
    Embeddings::read(path, labels).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Embeddings, String> {
    read_with(path, None)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

/// Writes a file and returns its path.
fn written(folder: &TempDir, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    path
}

type Tensor<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn safetensors(tensors: &[Tensor<'_>], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    safetensors::serialize(views, Some(metadata.collect())).unwrap()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn integers(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The `.npy` file of a type and shape.
fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (dictionary.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        dictionary.as_bytes(),
        values,
    ]
    .concat()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

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
fn tensors_of_every_type_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    let halves = [0x3e00u16, 0xc000, 0x3555, 0x7bff, 0, 1]
        .map(u16::to_le_bytes)
        .concat();
    let doubles = ROWS.map(|x| f64::from(x).to_le_bytes()).concat();
    let bf16: Vec<u8> = ROWS
        .iter()
        .flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes())
        .collect();
    let upper = ROWS.map(|x| f32::from_bits(x.to_bits() >> 16 << 16));
    let mut half_rows = ROWS;
    half_rows[5] = 2f32.powi(-24);
    for (number, (dtype, bytes, rows, label_type, labels)) in [
        (Dtype::F16, halves, half_rows, Dtype::I8, vec![5, 255]),
        (
            Dtype::BF16,
            bf16,
            upper,
            Dtype::I32,
            [5i32, -1].map(i32::to_le_bytes).concat(),
        ),
        (
            Dtype::F64,
            doubles,
            ROWS,
            Dtype::U64,
            integers(&[5, -1][..1]).repeat(2),
        ),
        (
            Dtype::F32,
            floats(&ROWS),
            ROWS,
            Dtype::I64,
            integers(&[5, -1]),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let tensors = [
            ("embeddings", dtype, &[2, 3][..], bytes),
            ("labels", label_type, &[2], labels),
        ];
        let path = written(
            &folder,
            &format!("{number}.safetensors"),
            safetensors(&tensors, &[]),
        );
        let found = read(&path).unwrap();
        assert_eq!(bits(&found.rows), bits(&rows), "{dtype:?}");
        let second = if label_type == Dtype::U64 { 5 } else { -1 };
        assert_eq!(found.labels, [5, second], "{label_type:?}");
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
            message.contains("neither safetensors nor NumPy's .npy or .npz"),
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

#[test]
fn tensors_of_other_names_shapes_and_types_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |tensors: &[Tensor<'_>], metadata: &[(&str, &str)]| {
        read(&written(
            &folder,
            "rows.safetensors",
            safetensors(tensors, metadata),
        ))
        .unwrap_err()
    };
    let rows = ("embeddings", Dtype::F32, &[2, 3][..], floats(&ROWS));
    let labels = ("labels", Dtype::I64, &[2][..], integers(&[1, 1]));
    let named =
        |name, (_, dtype, shape, bytes): &Tensor<'static>| (name, *dtype, *shape, bytes.clone());
    for (tensors, reason) in [
        (
            vec![named("features", &rows), labels.clone()],
            "it has no tensor `embeddings`; rename its tensor `features`",
        ),
        (
            vec![named("emb", &rows), labels.clone()],
            "rename its tensor `emb` to it",
        ),
        (
            vec![rows.clone(), named("targets", &labels)],
            "it has no tensor `labels`; rename its tensor `targets` to it, or pass",
        ),
        (
            vec![rows.clone()],
            "it has no tensor `labels`; add it, or pass",
        ),
        (
            vec![
                ("embeddings", Dtype::F32, &[6], floats(&ROWS)),
                labels.clone(),
            ],
            "`embeddings` has 1 axes [6]",
        ),
        (
            vec![
                ("embeddings", Dtype::F8_E4M3, &[2, 3], vec![0; 6]),
                labels.clone(),
            ],
            "`embeddings` is F8_E4M3",
        ),
        (
            vec![
                ("embeddings", Dtype::I8, &[2, 3], vec![0; 6]),
                labels.clone(),
            ],
            "`embeddings` is int8",
        ),
        (
            vec![rows.clone(), ("labels", Dtype::BOOL, &[2], vec![0; 2])],
            "`labels` is BOOL",
        ),
        (
            vec![rows.clone(), ("labels", Dtype::F32, &[2], vec![0; 8])],
            "`labels` is float32, and labels are integers",
        ),
        (
            vec![rows.clone(), ("labels", Dtype::U64, &[2], vec![255; 16])],
            "label 18446744073709551615 in row 0",
        ),
        (
            vec![
                rows.clone(),
                ("labels", Dtype::I64, &[3], integers(&[1, 1, 1])),
            ],
            "rows.safetensors has 3 label(s)",
        ),
    ] {
        let message = refused(&tensors, &[]);
        assert!(message.contains(reason), "{message}");
    }
    let message = refused(
        &[("backbone.w", Dtype::F32, &[2, 3], floats(&ROWS))],
        &[("loop-dml", "{}")],
    );
    assert!(
        message.contains("it is an exported embedder; embed images with it"),
        "{message}"
    );
    let message = refused(&[rows.clone(), labels.clone()], &[("classes", "[1]")]);
    assert!(
        message.contains("`classes` in its metadata is not a JSON list of names"),
        "{message}"
    );
}

#[test]
fn broken_rows_are_named_with_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = [1.0; 12];
    let labels = ("labels", Dtype::I64, &[6][..], integers(&[0; 6]));
    let refused = |rows: &[f32], metadata: &[(&str, &str)]| {
        let embeddings = ("embeddings", Dtype::F32, &[6, 2][..], floats(rows));
        let file = safetensors(&[embeddings, labels.clone()], metadata);
        read(&written(&folder, "rows.safetensors", file)).unwrap_err()
    };
    rows[7] = f32::NAN;
    let message = refused(&rows, &[]);
    assert!(message.starts_with("row 3 of "), "{message}");
    assert!(
        message.ends_with(
            "rows.safetensors has an infinite value or NaN; remove it, or embed the images again"
        ),
        "{message}"
    );
    for index in [0, 1, 4, 8] {
        rows[index] = f32::NEG_INFINITY;
    }
    let paths = r#"["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"]"#;
    let message = refused(&rows, &[("paths", paths)]);
    assert!(message.starts_with("4 rows of "), "{message}");
    assert!(
        message.contains(
            "(row 0 (a.jpg), row 2 (c.jpg), row 3 (d.jpg) and 1 more) have an infinite value or NaN"
        ),
        "{message}"
    );

    let mut doubles = [1.0f64; 4];
    doubles[2] = 1e300;
    let bytes = doubles.map(f64::to_le_bytes).concat();
    let tensors = [
        ("embeddings", Dtype::F64, &[2, 2][..], bytes),
        ("labels", Dtype::I64, &[2], integers(&[0, 0])),
    ];
    let file = safetensors(&tensors, &[("paths", r#"["a.jpg", "b.jpg"]"#)]);
    let message = read(&written(&folder, "rows.safetensors", file)).unwrap_err();
    assert!(message.starts_with("row 1 (b.jpg) of "), "{message}");
    assert!(
        message.contains("has the value 1e300, above 3.4028235e38"),
        "{message}"
    );
}
