//! The column of embeddings: a list of numbers in each row.

use burn::tensor::f16;
use parquet::basic::{LogicalType, Type};
use parquet::data_type::{
    DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
};

use super::super::raw_array::Matrix;
use super::column::{Batch, Column};
use crate::bounded_read::{GIB, size};

/// The most bytes of the embeddings in single precision, unless the file is large itself. A file of 1 KiB can
/// promise any number.
const MAXIMUM_BYTES: u64 = GIB;

/// How many times the size of the file they may have then.
const MAXIMUM_RATIO: u64 = 16;

/// The most numbers of a row, as of `model.embedding_dim`.
const MAXIMUM_DIM: usize = 65_536;

/// Returns the embeddings. `row_name` names a row and its image in messages.
///
/// # Errors
/// If the column is no list of floating-point numbers, or the lists are not of the same length, with the row.
pub(super) fn read_matrix(
    column: &Column<'_>,
    file_bytes: u64,
    row_name: &dyn Fn(usize) -> String,
) -> Result<Matrix, String> {
    let description = column.description();
    let name = column.name();
    match description.max_rep_level() {
        1 => {}
        0 => {
            return Err(format!(
                "its column `{name}` has the type {}; save a list of float32 in each row",
                column.type_name()
            ));
        }
        _ => {
            return Err(format!(
                "its column `{name}` has lists of lists; save one list of float32 in each row"
            ));
        }
    }
    let maximum = MAXIMUM_BYTES.max(MAXIMUM_RATIO.saturating_mul(file_bytes)) / 4;
    let limit = match description.physical_type() {
        // A number is decoded to 40 bytes.
        Type::FIXED_LEN_BYTE_ARRAY => maximum / 4,
        _ => maximum,
    };
    let too_many = format!(
        "its column `{name}` has more than {limit} numbers, the most that are read of a file of {file_bytes} bytes \
         ({} or {MAXIMUM_RATIO} times the file); save it as .npy",
        size(MAXIMUM_BYTES)
    );
    // A row is decoded as a whole.
    if column.promised_values() > column.promised_rows().saturating_mul(MAXIMUM_DIM as u64) {
        return Err(too_long(name));
    }
    let mut lists = Lists {
        name,
        row_name,
        defined: description.max_def_level(),
        element: description.repeated_ancestor_def_level(),
        matrix: Matrix::default(),
        count: 0,
    };
    // As many as the file can contain without compression; a number takes at least 2 bytes.
    let fitting = column.promised_values().min(file_bytes / 2);
    lists.matrix.rows.reserve_exact(fitting as usize);
    match description.physical_type() {
        Type::FLOAT => column.for_each_batch::<FloatType>(limit, &too_many, |batch| {
            lists.add::<FloatType>(batch, |&x| f64::from(x))
        }),
        Type::DOUBLE => column.for_each_batch::<DoubleType>(limit, &too_many, |batch| {
            lists.add::<DoubleType>(batch, |&x| x)
        }),
        Type::FIXED_LEN_BYTE_ARRAY
            if matches!(description.logical_type_ref(), Some(LogicalType::Float16)) =>
        {
            column.for_each_batch::<FixedLenByteArrayType>(limit, &too_many, |batch| {
                lists.add::<FixedLenByteArrayType>(batch, half)
            })
        }
        _ => Err(format!(
            "its column `{name}` has lists of {}; save lists of float32",
            column.type_name()
        )),
    }?;
    match lists.count {
        0 => Err("it has no rows; save at least one".into()),
        _ => Ok(lists.matrix),
    }
}

fn too_long(name: &str) -> String {
    format!(
        "its column `{name}` has lists of more than {MAXIMUM_DIM} numbers; save one embedding in each row"
    )
}

fn half(bytes: &FixedLenByteArray) -> f64 {
    match *bytes.data() {
        [low, high] => f16::from_le_bytes([low, high]).to_f64(),
        // The length is that of the type, which is checked when the schema is read.
        _ => f64::NAN,
    }
}

/// Lists of numbers that become the rows of a matrix.
struct Lists<'a> {
    /// The name of the column.
    name: &'a str,
    row_name: &'a dyn Fn(usize) -> String,
    /// The definition level of a number.
    defined: i16,
    /// The lowest definition level of an element, which is null below `defined`.
    element: i16,
    matrix: Matrix,
    /// The number of complete rows.
    count: usize,
}

impl Lists<'_> {
    /// Adds rows, whose numbers are converted by `number`. Double precision holds them all.
    fn add<T: DataType>(
        &mut self,
        batch: &Batch<'_, T::T>,
        number: impl Fn(&T::T) -> f64,
    ) -> Result<(), String> {
        let mut values = batch.values.iter();
        let mut length = 0;
        for (position, (&definition, &repetition)) in
            batch.definition.iter().zip(batch.repetition).enumerate()
        {
            if repetition == 0 && position > 0 {
                self.end_row(length)?;
                length = 0;
            }
            if definition < self.element {
                let row = self.row();
                return Err(format!(
                    "{row} of its column `{}` is null or an empty list; remove the row",
                    self.name
                ));
            }
            let value = values.next().filter(|_| definition == self.defined);
            let Some(value) = value else {
                let row = self.row();
                return Err(format!(
                    "{row} of its column `{}` has null as number {length} of its list; remove the row, or embed \
                     the image again",
                    self.name
                ));
            };
            let value = number(value);
            let single = value as f32;
            if value.is_finite() && !single.is_finite() {
                self.matrix.overflow = self.matrix.overflow.or(Some((self.count, value)));
            }
            self.matrix.rows.push(single);
            length += 1;
        }
        self.end_row(length)
    }

    /// Checks the length of the row that ends.
    fn end_row(&mut self, length: usize) -> Result<(), String> {
        if length > MAXIMUM_DIM {
            return Err(too_long(self.name));
        }
        if self.count == 0 {
            self.matrix.dim = length;
        }
        let dim = self.matrix.dim;
        if length != dim {
            return Err(format!(
                "{} of its column `{}` has {length} number(s), and row 0 has {dim}; save lists of one length",
                self.row(),
                self.name
            ));
        }
        self.count += 1;
        Ok(())
    }

    /// Returns the name of the row that is read.
    fn row(&self) -> String {
        (self.row_name)(self.count)
    }
}
