//! Writing embeddings as a table.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Schema};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use serde_json::json;

use super::super::named_embeddings::NamedEmbeddings;
use super::CLASSES_KEY;

/// About the most bytes of the embeddings in a row group. Readers load one at a time and share them among threads.
const GROUP_BYTES: usize = 64 << 20;

/// The rows that are passed to the crate at once. Their levels take 4 bytes for each number.
const BATCH: usize = 128;

/// The path of the numbers among the columns: the groups `list` and `element` are those of Parquet's lists.
const NUMBERS: [&str; 3] = ["embedding", "list", "element"];

/// Writes the columns `path`, `class`, `label` and `embedding`. A row without a class has null and −1.
///
/// Nothing is compressed: zstd saves 9 % of normalised embeddings, and some readers lack it.
///
/// # Errors
/// If the file cannot be written.
pub(in crate::embedding_file) fn write_parquet(
    embeddings: &NamedEmbeddings,
    file: &mut (impl Write + Send),
) -> io::Result<()> {
    write(embeddings, GROUP_BYTES, file).map_err(|error| match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    })
}

/// Writes row groups with about `group_bytes` of embeddings.
fn write(
    embeddings: &NamedEmbeddings,
    group_bytes: usize,
    file: &mut (impl Write + Send),
) -> Result<(), ParquetError> {
    let schema = schema(embeddings.dim)?;
    let mut properties = properties(&embeddings.classes);
    // By this, Arrow's readers know that the lists have a fixed size. Parquet has lists only.
    add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    let columns = ArrowSchemaConverter::new().convert(&schema)?;
    let mut writer =
        SerializedFileWriter::new(file, columns.root_schema_ptr(), Arc::new(properties))?;
    let count = embeddings.labels.len();
    let group_rows = (group_bytes / (4 * embeddings.dim.max(1))).max(1);
    for start in (0..count).step_by(group_rows) {
        let mut group = writer.next_row_group()?;
        write_rows(embeddings, start..count.min(start + group_rows), &mut group)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// The columns as Arrow describes them.
fn schema(dim: usize) -> Result<Schema, ParquetError> {
    let number = Field::new(NUMBERS[2], ArrowType::Float32, false);
    let list = ArrowType::FixedSizeList(Arc::new(number), dim.try_into()?);
    Ok(Schema::new(vec![
        Field::new("path", ArrowType::Utf8, false),
        Field::new("class", ArrowType::Utf8, true),
        Field::new("label", ArrowType::Int64, false),
        Field::new(NUMBERS[0], list, false),
    ]))
}

fn properties(classes: &[String]) -> WriterProperties {
    let column = |path: &[&str]| ColumnPath::new(path.iter().map(ToString::to_string).collect());
    let classes = KeyValue::new(CLASSES_KEY.into(), json!(classes).to_string());
    // Almost every path and number is different. Statistics of numbers serve no query.
    WriterProperties::builder()
        .set_key_value_metadata(Some(vec![classes]))
        .set_column_dictionary_enabled(column(&["path"]), false)
        .set_column_dictionary_enabled(column(&NUMBERS), false)
        .set_column_statistics_enabled(column(&NUMBERS), EnabledStatistics::None)
        .build()
}

/// Writes a row group of the `rows`.
fn write_rows(
    embeddings: &NamedEmbeddings,
    rows: std::ops::Range<usize>,
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
) -> Result<(), ParquetError> {
    let NamedEmbeddings {
        dim,
        paths,
        labels,
        classes,
        ..
    } = embeddings;
    let paths = &paths[rows.clone()];
    let labels = &labels[rows.clone()];
    let numbers = &embeddings.rows[rows.start * dim..rows.end * dim];

    write_column::<ByteArrayType>(group, |write| {
        paths.chunks(BATCH).try_for_each(|paths| {
            let texts: Vec<ByteArray> = paths.iter().map(|path| path.as_str().into()).collect();
            write(&texts, &[], &[])
        })
    })?;
    write_column::<ByteArrayType>(group, |write| {
        labels.chunks(BATCH).try_for_each(|labels| {
            let class = |&label| classes.get(usize::try_from(label).ok()?);
            let names: Vec<Option<&String>> = labels.iter().map(class).collect();
            let texts = names.iter().flatten().map(|name| name.as_str().into());
            let texts: Vec<ByteArray> = texts.collect();
            let defined: Vec<i16> = names.iter().map(|name| name.is_some().into()).collect();
            write(&texts, &defined, &[])
        })
    })?;
    write_column::<Int64Type>(group, |write| write(labels, &[], &[]))?;
    write_column::<FloatType>(group, |write| {
        // A list begins with the repetition level 0 and continues with 1; all numbers are defined.
        let defined = vec![1; BATCH * dim];
        let repeated: Vec<i16> = (0..BATCH * dim)
            .map(|number| (number % dim != 0).into())
            .collect();
        numbers
            .chunks(BATCH * dim)
            .try_for_each(|chunk| write(chunk, &defined[..chunk.len()], &repeated[..chunk.len()]))
    })
}

/// Writes the next column of a row group. `fill` passes values, their definition and their repetition levels to
/// its argument, in batches of rows; levels that the column does not have are empty.
fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    fill: impl FnOnce(
        &mut dyn FnMut(&[T::T], &[i16], &[i16]) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError>,
) -> Result<(), ParquetError> {
    let mut column = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has fewer columns".into()))?;
    let writer = column.typed::<T>();
    fill(&mut |values, defined, repeated| {
        let defined = (!defined.is_empty()).then_some(defined);
        let repeated = (!repeated.is_empty()).then_some(repeated);
        writer.write_batch(values, defined, repeated).map(drop)
    })?;
    column.close()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::super::super::{Embeddings, LabelsOption};
    use super::*;
    use crate::embedding_file::NO_CLASS;

    const LABELS: LabelsOption<'static> = LabelsOption {
        name: "--labels",
        file: None,
    };

    /// Rows of unusual numbers, names and classes, some without one.
    fn embeddings(count: usize, dim: usize) -> NamedEmbeddings {
        let numbers = [
            0.0,
            -0.0,
            f32::MIN_POSITIVE / 8.0,
            f32::MAX,
            -1.0 / 3.0,
            f32::EPSILON,
        ];
        let classes = ["b", "an \"odd\", name", "unused", "-1"];
        NamedEmbeddings {
            rows: (0..count * dim).map(|i| numbers[i * 7 % 6]).collect(),
            dim,
            labels: (0..count as i64).map(|row| row % 5 - 1).collect(),
            paths: (0..count).map(|row| format!("猫/{row}.png")).collect(),
            classes: classes.map(String::from).to_vec(),
        }
    }

    fn read(path: &Path) -> Embeddings {
        Embeddings::read(path, LABELS).unwrap()
    }

    #[test]
    fn written_table_is_read_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        for (count, dim, group_bytes, groups) in [
            (1, 1, GROUP_BYTES, 1),
            (7, 6, GROUP_BYTES, 1),
            (7, 6, 48, 4),
            (3 * BATCH + 1, 3, 12 * BATCH + 11, 4),
        ] {
            let path = folder.path().join(format!("{count}-{group_bytes}.parquet"));
            let expected = embeddings(count, dim);
            let mut file = fs::File::create(&path).unwrap();
            write(&expected, group_bytes, &mut file).unwrap();
            let reader = SerializedFileReader::try_from(&*path).unwrap();
            assert_eq!(reader.num_row_groups(), groups);
            let found = read(&path);
            let bits = |rows: &[f32]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!((bits(&found.rows), found.dim), (bits(&expected.rows), dim));
            assert_eq!(found.labels, expected.labels);
            assert_eq!(found.paths, Some(expected.paths));
            assert_eq!(found.classes, Some(expected.classes));
        }
    }

    #[test]
    fn rows_without_a_class_have_null_and_minus_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let mut unknown = embeddings(4, 2);
        unknown.labels = vec![NO_CLASS; 4];
        unknown.classes.clear();
        let mut file = fs::File::create(&path).unwrap();
        write_parquet(&unknown, &mut file).unwrap();
        let found = read(&path);
        assert_eq!(found.labels, [NO_CLASS; 4]);
        let reader = SerializedFileReader::try_from(&*path).unwrap();
        let class = reader.metadata().row_group(0).column(1);
        assert_eq!(class.column_path().string(), "class");
        assert_eq!(class.statistics().unwrap().null_count_opt(), Some(4));
    }

    #[test]
    fn full_disk_keeps_the_error_of_the_system() {
        struct FullDisk;

        impl Write for FullDisk {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let error = write_parquet(&embeddings(7, 6), &mut FullDisk).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
