use super::*;

const TRAIN: &[u8] = include_bytes!("../../../../assets/fixtures/cars196/cars_train_annos.mat");
const TEST: &[u8] =
    include_bytes!("../../../../assets/fixtures/cars196/cars_test_annos_withlabels.mat");

fn read(bytes: &[u8]) -> Result<MatFile, ListError> {
    MatFile::parse(Path::new("test.mat"), bytes)
}

fn rows(bytes: &[u8]) -> Vec<(Option<usize>, Option<String>)> {
    let file = read(bytes).unwrap();
    let records = file.records("annotations").unwrap();
    let row = |record: Record| (record.number("class"), record.text("fname"));
    records.into_iter().map(row).collect()
}

#[test]
fn numbers_and_strings_are_read_with_and_without_compression_and_of_both_types() {
    let row = |class, name: &str| (Some(class), Some(name.to_string()));
    assert_eq!(
        rows(TRAIN)[..2],
        [row(1, "00001.jpg"), row(99, "00002.jpg")]
    );
    assert_eq!(rows(TEST), [row(196, "00001.jpg"), row(1, "00002.jpg")]);
}

#[test]
fn missing_variables_and_fields_are_none() {
    let file = read(TRAIN).unwrap();
    assert!(file.records("class_names").is_none());
    assert!(file.texts("annotations").is_none());
    let record = file.records("annotations").unwrap()[0];
    assert_eq!(
        (record.number("fname"), record.text("bbox_x9")),
        (None, None)
    );
}

#[test]
fn damaged_files_never_panic() {
    let mut refused = 0;
    for bytes in [TRAIN, TEST] {
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0xff;
            for damaged in [&changed, &bytes[..at]] {
                match read(damaged) {
                    Ok(file) => {
                        for record in file.records("annotations").into_iter().flatten() {
                            let _ = (record.number("class"), record.text("fname"));
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    // All truncated files, and changed files unless the change is in a name or number.
    assert!(refused > TRAIN.len() + TEST.len(), "{refused}");
}

/// An element with the type `kind`.
fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u32;
    let mut bytes = [&kind.to_be_bytes()[..], &length.to_be_bytes(), data].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A matrix of a class, with `sizes` and `parts` after its name, in big-endian order.
fn matrix(class: u8, sizes: [i32; 2], name: &str, parts: &[u8]) -> Vec<u8> {
    let flags = element(kind::UINT32, &[0, 0, 0, class, 0, 0, 0, 0]);
    let sizes = element(kind::INT32, sizes.map(i32::to_be_bytes).as_flattened());
    let name = element(kind::INT8, name.as_bytes());
    element(kind::MATRIX, &[&flags, &sizes, &name, parts].concat())
}

fn big_endian(elements: &[u8]) -> Vec<u8> {
    let mut header = START.to_vec();
    header.resize(HEADER_BYTES - 2, b' ');
    [&header, &b"MI"[..], elements].concat()
}

#[test]
fn big_endian_files_and_all_types_of_numbers_are_read() {
    let text = |text: &str| {
        matrix(
            4,
            [1, text.len() as i32],
            "",
            &element(kind::UTF8, text.as_bytes()),
        )
    };
    let number = |kind: u32, data: &[u8]| matrix(6, [1, 1], "", &element(kind, data));
    let fields = [
        element(kind::INT32, &6_i32.to_be_bytes()),
        element(kind::INT8, b"class\0fname\0"),
    ]
    .concat();
    for (kind, data) in [
        (kind::INT8, &[7][..]),
        (kind::UINT16, &[0, 7]),
        (kind::INT32, &[0, 0, 0, 7]),
        (kind::UINT64, &[0, 0, 0, 0, 0, 0, 0, 7]),
        (kind::SINGLE, &7_f32.to_be_bytes()),
        (kind::DOUBLE, &7_f64.to_be_bytes()),
    ] {
        let values = [number(kind, data), text("a.jpg")].concat();
        let parts = [&fields[..], &values].concat();
        let file = big_endian(&matrix(2, [1, 1], "annotations", &parts));
        assert_eq!(rows(&file), [(Some(7), Some("a.jpg".into()))], "{kind}");
    }
    let cells = [text("b"), number(kind::INT8, &[1])].concat();
    let file = read(&big_endian(&matrix(1, [2, 1], "names", &cells))).unwrap();
    assert_eq!(file.texts("names").unwrap(), [Some("b".into()), None]);
}

#[test]
fn counts_and_nesting_beyond_the_file_are_refused() {
    let cell = matrix(4, [1, 1], "", &element(kind::UTF8, b"x"));
    for sizes in [[2, 1], [i32::MAX, i32::MAX], [-1, 1]] {
        let error = read(&big_endian(&matrix(1, sizes, "names", &cell))).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    let mut nested = cell;
    for _ in 0..1000 {
        nested = matrix(1, [1, 1], "names", &nested);
    }
    read(&big_endian(&nested)).unwrap_err();
}

#[test]
fn decompressed_variables_have_a_limit_together() {
    use std::io::Write;

    let mut compressed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    compressed.write_all(&[0; 1000]).unwrap();
    let bytes = compressed.finish().unwrap();
    let mut left = 1999;
    assert_eq!(inflate(&bytes, &mut left).unwrap().len(), 1000);
    assert_eq!(left, 999);
    assert_eq!(inflate(&bytes, &mut left), Err(MatError::TooLarge));
    assert_eq!(inflate(b"\0", &mut left), Err(MatError::Damaged));
}
