//! Columns of one integer or text in each row.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};

use super::super::labels::Labels;
use super::super::labels::NO_CLASS;
use super::column::{Batch, Column};
use crate::bounded_read::{GIB, size};

/// The most bytes of all texts of a column.
const MAXIMUM_TEXT_BYTES: usize = GIB as usize;

/// The values that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integers {
        /// Whether the bits are those of unsigned integers.
        unsigned: bool,
    },
    Texts,
}

/// Returns the kind of the values of a column; `None` if they are not read, or the column has lists.
pub(super) fn kind(column: &Column<'_>) -> Option<Kind> {
    let description = column.description();
    if description.max_rep_level() > 0 {
        return None;
    }
    let unsigned = match (description.logical_type_ref(), description.converted_type()) {
        (Some(LogicalType::Integer(integer)), _) => Some(!integer.is_signed),
        (Some(_), _) => None,
        (
            None,
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
        ) => Some(true),
        (
            None,
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
        ) => Some(false),
        _ => None,
    };
    match description.physical_type() {
        Type::INT32 | Type::INT64 => unsigned.map(|unsigned| Kind::Integers { unsigned }),
        Type::BYTE_ARRAY => Some(Kind::Texts),
        _ => None,
    }
}

/// Returns the labels of `count` rows. A row with null has no class.
///
/// # Errors
/// If they are not integers up to [`i64::MAX`] or texts, or there are more than `count`.
pub(super) fn read_labels(column: &Column<'_>, count: usize) -> Result<Labels, String> {
    let name = column.name();
    match kind(column) {
        Some(Kind::Texts) => Ok(Labels::from_names(&read_texts(column, count)?)),
        Some(Kind::Integers { unsigned }) => {
            read_integers(column, unsigned, count).map(Labels::from_numbers)
        }
        None => Err(format!(
            "its column `{name}` has the type {}, and labels are integers or texts; convert it, in pandas with \
             astype(\"Int64\")",
            column.type_name()
        )),
    }
}

fn read_integers(column: &Column<'_>, unsigned: bool, count: usize) -> Result<Vec<i64>, String> {
    match column.description().physical_type() {
        Type::INT32 => read::<Int32Type, _>(column, count, NO_CLASS, |_, &x| {
            Ok(match unsigned {
                true => i64::from(x as u32),
                false => i64::from(x),
            })
        }),
        _ => read::<Int64Type, _>(column, count, NO_CLASS, |row, &x| match unsigned && x < 0 {
            true => Err(format!(
                "label {} in row {row} of its column `{}` is above {}; number the classes from 0",
                x as u64,
                column.name(),
                i64::MAX
            )),
            false => Ok(x),
        }),
    }
}

/// Returns the texts of at most `count` rows. Null is an empty text.
///
/// # Errors
/// If a text is not UTF-8, with its row, if they have more than 1 GiB, or there are more than `count`.
pub(super) fn read_texts(column: &Column<'_>, count: usize) -> Result<Vec<String>, String> {
    let mut bytes = 0;
    read::<ByteArrayType, _>(column, count, String::new(), |row, text| {
        bytes += text.len();
        if bytes > MAXIMUM_TEXT_BYTES {
            return Err(format!(
                "the texts of its column `{}` have more than {}; shorten them",
                column.name(),
                size(MAXIMUM_TEXT_BYTES as u64)
            ));
        }
        let text = str::from_utf8(text.data()).map_err(|_| {
            format!(
                "row {row} of its column `{}` is not UTF-8; save a text",
                column.name()
            )
        })?;
        Ok(text.to_string())
    })
}

/// Returns the values of at most `count` rows, converted by `convert`, which also gets the row, or `null`.
fn read<T: DataType, V: Clone>(
    column: &Column<'_>,
    count: usize,
    null: V,
    mut convert: impl FnMut(usize, &T::T) -> Result<V, String>,
) -> Result<Vec<V>, String> {
    let too_many = format!(
        "its column `{}` has more than the {count} row(s) of the table; copy or save it again",
        column.name()
    );
    let defined = column.description().max_def_level();
    let mut converted = Vec::new();
    let add = |batch: &Batch<'_, T::T>| {
        let mut values = batch.values.iter();
        if defined == 0 {
            for value in values {
                converted.push(convert(converted.len(), value)?);
            }
            return Ok(());
        }
        for &definition in batch.definition {
            let value = match definition == defined {
                true => values.next(),
                false => None,
            };
            converted.push(match value {
                Some(value) => convert(converted.len(), value)?,
                None => null.clone(),
            });
        }
        Ok(())
    };
    column.for_each_batch::<T>(count as u64, &too_many, add)?;
    Ok(converted)
}
