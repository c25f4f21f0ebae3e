//! A column of a table, read batch by batch.

use bytes::Bytes;
use parquet::basic::{Compression, Type};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;

use super::pages::{CheckedPages, Refusal};
use crate::shorten::shorten;

/// The most rows that are decoded at once; a row may have thousands of numbers.
const BATCH: usize = 128;

/// A column with one value, or one list of values, in each row.
pub(super) struct Column<'a> {
    file: &'a SerializedFileReader<Bytes>,
    /// The index among the columns of primitive types.
    index: usize,
    description: ColumnDescPtr,
    /// The name of the column, for messages.
    name: String,
}

/// Consecutive rows of a column.
pub(super) struct Batch<'a, T> {
    /// The definition level of each value, null or empty list; empty if the column has neither.
    pub(super) definition: &'a [i16],
    /// 0 for each of them that begins a row; empty if the column has no lists.
    pub(super) repetition: &'a [i16],
    /// The values that are not null.
    pub(super) values: &'a [T],
}

impl<'a> Column<'a> {
    pub(super) fn new(file: &'a SerializedFileReader<Bytes>, index: usize) -> Self {
        let schema = file.metadata().file_metadata().schema_descr();
        Self {
            file,
            index,
            description: schema.column(index),
            name: shorten(schema.get_column_root(index).name()).into_owned(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn description(&self) -> &ColumnDescPtr {
        &self.description
    }

    /// Returns the type for messages, such as `INT32 (DATE)`.
    pub(super) fn type_name(&self) -> String {
        let kind = self.description.physical_type();
        let length = match kind {
            Type::FIXED_LEN_BYTE_ARRAY => format!(" of {} bytes", self.description.type_length()),
            _ => String::new(),
        };
        match self.description.logical_type_ref() {
            Some(logical) => format!("{kind}{length} ({logical:?})"),
            None => format!("{kind}{length}"),
        }
    }

    /// Returns the number of rows that the footer promises.
    pub(super) fn promised_rows(&self) -> u64 {
        let rows = self.file.metadata().file_metadata().num_rows();
        u64::try_from(rows).unwrap_or(0)
    }

    /// Returns the number of values that the footer promises.
    pub(super) fn promised_values(&self) -> u64 {
        let groups = self.file.metadata().row_groups().iter();
        let counts = groups.map(|group| group.column(self.index).num_values());
        counts.fold(0, |sum, count| {
            sum.saturating_add(u64::try_from(count).unwrap_or(0))
        })
    }

    /// Decodes the column, whose physical type is that of `T`, and passes it to `read` in batches of rows.
    ///
    /// # Errors
    /// If it is compressed with an unknown codec or damaged, if there are more than `limit` values, which is the
    /// error `too_many`, and those of `read`.
    pub(super) fn for_each_batch<T: DataType>(
        &self,
        limit: u64,
        too_many: &str,
        mut read: impl FnMut(&Batch<'_, T::T>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut remaining = limit;
        for group in 0..self.file.num_row_groups() {
            let reason = |error| self.reason(error);
            let metadata = self.file.metadata().row_group(group).column(self.index);
            let codec = match metadata.compression() {
                Compression::BROTLI(_) => Some("Brotli"),
                Compression::LZO => Some("LZO"),
                _ => None,
            };
            if let Some(codec) = codec {
                return Err(format!(
                    "its column `{}` is compressed with {codec}, which is not read; save it with zstd or snappy",
                    self.name
                ));
            }
            let row_group = self.file.get_row_group(group).map_err(reason)?;
            let pages = row_group
                .get_column_page_reader(self.index)
                .map_err(reason)?;
            let pages = CheckedPages::new(pages, T::get_physical_type(), remaining, too_many);
            let mut reader = ColumnReaderImpl::<T>::new(self.description.clone(), Box::new(pages));
            let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
            loop {
                definition.clear();
                repetition.clear();
                values.clear();
                let (rows, _, levels) = reader
                    .read_records(
                        BATCH,
                        Some(&mut definition),
                        Some(&mut repetition),
                        &mut values,
                    )
                    .map_err(reason)?;
                if rows == 0 && levels == 0 {
                    break;
                }
                remaining = remaining
                    .checked_sub(levels as u64)
                    .ok_or_else(|| too_many.to_string())?;
                read(&Batch {
                    definition: &definition,
                    repetition: &repetition,
                    values: &values,
                })?;
            }
        }
        Ok(())
    }

    /// Returns why the column is refused for an error of the crate.
    fn reason(&self, error: ParquetError) -> String {
        if let ParquetError::External(error) = &error
            && let Some(Refusal(reason)) = error.downcast_ref()
        {
            return reason.clone();
        }
        let error = error.to_string();
        format!(
            "its column `{}` is damaged ({}); copy or save it again",
            self.name,
            shorten(&error)
        )
    }
}
