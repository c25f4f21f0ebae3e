//! The table of a file, and its columns by their names.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::super::array_names::{EMBEDDING_COLUMN, FoundArray, LABEL_COLUMN};
use super::super::error::row_name;
use super::super::labels::Labels;
use super::super::raw_array::Matrix;
use super::CLASSES_KEY;
use super::class_columns;
use super::column::Column;
use super::flat_column::{self, Kind};
use super::list_column;
use crate::shorten::shorten;

const EMBEDDING_NAMES: [&str; 3] = ["embedding", "embeddings", "vector"];
const PATH_NAMES: [&str; 2] = ["path", "paths"];
const LABEL_NAMES: [&str; 2] = ["label", "labels"];
const CLASS_NAMES: [&str; 2] = ["class", "classes"];

/// The most rows whose paths are read to name a row in a message.
const MAXIMUM_NAMED: usize = 1 << 24;

/// The table of a file.
pub(super) struct Table {
    file: SerializedFileReader<Bytes>,
    /// The size of the file.
    bytes: u64,
}

/// Returns the reason for which a file is refused that is not a complete Parquet file.
pub(super) fn damaged(error: &str) -> String {
    format!("it is truncated or damaged ({error}); copy or save it again")
}

impl Table {
    /// Reads the footer of a whole file.
    ///
    /// # Errors
    /// If it is truncated or damaged.
    pub(super) fn open(bytes: Bytes) -> Result<Self, String> {
        let size = bytes.len() as u64;
        let file = SerializedFileReader::new(bytes)
            .map_err(|error| damaged(&shorten(&error.to_string())))?;
        Ok(Self { file, bytes: size })
    }

    /// Returns the embeddings.
    ///
    /// # Errors
    /// If there is not one column of them, or its rows are not lists of one length, with the row.
    pub(super) fn embeddings(&self) -> Result<Matrix, String> {
        let Some(column) = self.column(EMBEDDING_NAMES)? else {
            return Err(EMBEDDING_COLUMN.missing("column", &self.found(&[])));
        };
        let name = |row: usize| {
            let paths = self.paths(MAXIMUM_NAMED).ok().flatten();
            row_name(row, paths.as_deref())
        };
        list_column::read_matrix(&column, self.bytes, &name)
    }

    /// Returns the names of the images of at most `count` rows; `None` if there is no column of them.
    ///
    /// # Errors
    /// If there are more rows, or a path is not UTF-8, with the row.
    pub(super) fn paths(&self, count: usize) -> Result<Option<Vec<String>>, String> {
        let Some(column) = self.column(PATH_NAMES)? else {
            return Ok(None);
        };
        if flat_column::kind(&column) != Some(Kind::Texts) {
            tracing::warn!(
                "the column `{}` of Parquet type {} has no texts; the paths of the images are not known",
                column.name(),
                column.type_name()
            );
            return Ok(None);
        }
        flat_column::read_texts(&column, count).map(Some)
    }

    /// Returns the labels of `count` rows, or the reason for which the file has none.
    ///
    /// If there are labels and classes, they must agree row by row.
    ///
    /// # Errors
    /// If the columns have other types, or disagree.
    pub(super) fn labels(&self, count: usize) -> Result<Result<Labels, String>, String> {
        let read = |names| {
            let column = self.column(names)?;
            let labels = |column: Column<'_>| flat_column::read_labels(&column, count);
            column.map(labels).transpose()
        };
        let (label, class) = (read(LABEL_NAMES)?, read(CLASS_NAMES)?);
        let names = self.class_names()?;
        let merged = class_columns::merge(label, class, names)?;
        Ok(merged.ok_or_else(|| {
            let others = self.found(&[&EMBEDDING_NAMES[..], &PATH_NAMES].concat());
            LABEL_COLUMN.missing("column", &others)
        }))
    }

    /// The names of the classes in the metadata, which the labels index.
    fn class_names(&self) -> Result<Option<Vec<String>>, String> {
        let metadata = self.file.metadata().file_metadata().key_value_metadata();
        let mut entries = metadata.into_iter().flatten();
        let entry = entries.find(|entry| entry.key == CLASSES_KEY);
        let Some(value) = entry.and_then(|entry| entry.value.as_deref()) else {
            return Ok(None);
        };
        serde_json::from_str(value).map(Some).map_err(|error| {
            format!(
                "`{CLASSES_KEY}` in its metadata is not a JSON list of names ({error}); remove or correct it"
            )
        })
    }

    /// Returns the column with one of `names`; `None` if the table has no such column.
    ///
    /// # Errors
    /// If there are several, or it has several values in each row.
    fn column<const N: usize>(&self, names: [&str; N]) -> Result<Option<Column<'_>>, String> {
        let schema = self.file.metadata().file_metadata().schema_descr();
        let leaves = (0..schema.num_columns())
            .filter(|&leaf| names.contains(&schema.get_column_root(leaf).name()));
        let leaves: Vec<usize> = leaves.collect();
        let &[first, ..] = &leaves[..] else {
            return Ok(None);
        };
        let root = |leaf| schema.get_column_root_idx(leaf);
        let name = |leaf| schema.get_column_root(leaf).name();
        match leaves.iter().find(|&&leaf| leaf != first) {
            None => Ok(Some(Column::new(&self.file, first))),
            Some(&other) if root(other) != root(first) => Err(format!(
                "it has a column `{}` and a column `{}`; remove or rename one of them",
                name(first),
                name(other)
            )),
            Some(_) => Err(format!(
                "its column `{}` has several values in each row; save one, or one list of float32",
                name(first)
            )),
        }
    }

    /// The columns apart from those called `without`.
    fn found(&self, without: &[&str]) -> Vec<FoundArray> {
        let schema = self.file.metadata().file_metadata().schema_descr();
        let roots = schema.root_schema().get_fields().iter().enumerate();
        let columns = roots.map(|(root, field)| {
            let mut leaves = 0..schema.num_columns();
            let leaf = leaves.find(|&leaf| schema.get_column_root_idx(leaf) == root);
            let lists = leaf.map_or(0, |leaf| schema.column(leaf).max_rep_level());
            FoundArray {
                name: field.name().into(),
                axes: 1 + lists as usize,
            }
        });
        columns
            .filter(|column| !without.contains(&&*column.name))
            .collect()
    }
}
