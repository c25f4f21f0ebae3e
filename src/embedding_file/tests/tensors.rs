//! Tensors of safetensors files, and their rows.

use super::*;

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
