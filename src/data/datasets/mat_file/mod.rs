//! MATLAB files of version 5 to 7: arrays of records, and lists of strings.
//!
//! A file is a header and *elements*, each with a type and a length. A variable is an element of type
//! matrix, which contains other elements: its class, its sizes, its name, and its values or further
//! matrices. Source: MathWorks, "MAT-File Format". The one crate that reads structures and cells panics on
//! malformed files, and needs time exponential in the nesting for some.

mod element;
#[cfg(test)]
#[path = "../tests/mat_file.rs"]
mod tests;
mod variable;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::list_error::ListError;
use super::list_file::read_bytes;
use crate::bounded_read::MIB;
use element::{ByteOrder, Elements, kind};
use variable::Variable;

/// Bytes of the file's header.
const HEADER_BYTES: usize = 128;
/// The start of a file of MATLAB 5 to 7.
const START: &[u8] = b"MATLAB 5.0 MAT-file";
/// The most bytes of a file, and of its decompressed variables together. Those of Cars196 have 8 MB.
const MAXIMUM_BYTES: u64 = 64 * MIB;

/// Why a MATLAB file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MatError {
    /// A length, a type or the compression is wrong.
    Damaged,
    /// The variables are too large.
    TooLarge,
}

/// The variables of a MATLAB file.
#[derive(Debug)]
pub(super) struct MatFile(HashMap<String, Variable>);

impl MatFile {
    /// Reads `path`. `hint` says where to get it.
    ///
    /// # Errors
    /// [`ListError::Missing`], [`ListError::Unreadable`], or [`ListError::Invalid`] if it is damaged, too
    /// large or not a MATLAB file.
    pub(super) fn read(path: &Path, hint: &'static str) -> Result<Self, ListError> {
        Self::parse(path, &read_bytes(path, MAXIMUM_BYTES, hint)?)
    }

    /// Parses the contents of the file `path`.
    ///
    /// # Errors
    /// [`ListError::Invalid`] if it is damaged, too large or not a MATLAB file.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ListError> {
        let header = bytes.split_at_checked(HEADER_BYTES);
        let Some((header, elements)) = header.filter(|(header, _)| header.starts_with(START))
        else {
            return Err(ListError::invalid(
                path,
                "is not a MATLAB file of version 5 to 7; restore it from the archive",
            ));
        };
        let variables = match header[HEADER_BYTES - 2..] {
            [b'I', b'M'] => variables(elements, ByteOrder::Little),
            [b'M', b'I'] => variables(elements, ByteOrder::Big),
            _ => Err(MatError::Damaged),
        };
        variables.map(Self).map_err(|error| {
            ListError::invalid(
                path,
                match error {
                    MatError::Damaged => "is damaged; restore it from the archive",
                    MatError::TooLarge => {
                        "has more than 64 MiB of variables, the most that is read; restore it from the \
                         archive"
                    }
                },
            )
        })
    }

    /// Returns the records of a struct array, or `None` if the variable is not a struct array.
    pub(super) fn records(&self, variable: &str) -> Option<Vec<Record<'_>>> {
        let Variable::Records { fields, values } = self.0.get(variable)? else {
            return None;
        };
        let records = values.chunks(fields.len().max(1));
        Some(records.map(|values| Record { fields, values }).collect())
    }

    /// Returns the strings of a cell array, `None` for elements that are not strings. Returns `None` if
    /// the variable is not a cell array.
    pub(super) fn texts(&self, variable: &str) -> Option<Vec<Option<String>>> {
        let Variable::Cells(cells) = self.0.get(variable)? else {
            return None;
        };
        Some(cells.iter().map(text).collect())
    }
}

/// The variables by their names.
fn variables(bytes: &[u8], order: ByteOrder) -> Result<HashMap<String, Variable>, MatError> {
    let mut variables = HashMap::new();
    let mut left = MAXIMUM_BYTES;
    let mut elements = Elements::new(bytes, order);
    while let Some(element) = elements.next()? {
        let inflated;
        let element = match element.kind {
            kind::COMPRESSED => {
                inflated = inflate(element.data, &mut left)?;
                Elements::new(&inflated, order).required()?
            }
            _ => element,
        };
        if element.kind == kind::MATRIX {
            let (name, variable) = Variable::parse(element.data, order)?;
            variables.insert(name, variable);
        }
    }
    Ok(variables)
}

/// Decompresses a variable of at most `left` bytes, and subtracts its bytes from them.
fn inflate(bytes: &[u8], left: &mut u64) -> Result<Vec<u8>, MatError> {
    let mut inflated = Vec::new();
    let read = ZlibDecoder::new(bytes)
        .take(*left + 1)
        .read_to_end(&mut inflated);
    read.map_err(|_| MatError::Damaged)?;
    *left = left
        .checked_sub(inflated.len() as u64)
        .ok_or(MatError::TooLarge)?;
    Ok(inflated)
}

/// A record of a struct array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    fields: &'a [String],
    /// The value of each field.
    values: &'a [Variable],
}

impl<'a> Record<'a> {
    /// Returns the string of a field, or `None` if it is absent or not a string.
    pub(super) fn text(self, field: &str) -> Option<String> {
        text(self.value(field)?)
    }

    /// Returns the whole number, from 0, of a field of any numeric type, or `None` if it is absent or not
    /// a whole number.
    pub(super) fn number(self, field: &str) -> Option<usize> {
        let Variable::Number(whole) = *self.value(field)? else {
            return None;
        };
        (whole >= 0.0 && whole.fract() == 0.0 && whole <= f64::from(u32::MAX))
            .then_some(whole as usize)
    }

    fn value(self, field: &str) -> Option<&'a Variable> {
        let position = self.fields.iter().position(|name| name == field)?;
        self.values.get(position)
    }
}

fn text(variable: &Variable) -> Option<String> {
    match variable {
        Variable::Text(text) => Some(text.clone()),
        _ => None,
    }
}
