//! MATLAB files of version 5 to 7: arrays of records, and lists of strings.

use std::path::Path;

use matrw::{MatVariable, MatlabType};

use super::list_error::ListError;
use super::list_file::read_bytes;
use crate::panic_capture::catch_quietly;

/// Bytes of the file's header.
const HEADER_BYTES: usize = 128;
/// The start of a file of MATLAB 5 to 7.
const START: &[u8] = b"MATLAB 5.0 MAT-file";
/// The following bytes, as `matrw` expects them. SciPy writes a blank instead of MATLAB's comma.
const AFTER_START: &[u8] = b", ";

/// The variables of a MATLAB file.
#[derive(Debug)]
pub(super) struct MatFile(matrw::MatFile);

impl MatFile {
    /// Reads `path`. `hint` says where to get it.
    ///
    /// # Errors
    /// [`ListError::Missing`], [`ListError::Unreadable`], or [`ListError::Invalid`] if it is damaged or
    /// not a MATLAB file.
    pub(super) fn read(path: &Path, hint: &'static str) -> Result<Self, ListError> {
        let invalid = |reason: &str| ListError::invalid(path, reason);
        let mut bytes = read_bytes(path, hint)?;
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(START) {
            return Err(invalid(
                "is not a MATLAB file of version 5 to 7; restore it from the archive",
            ));
        }
        bytes[START.len()..START.len() + AFTER_START.len()].copy_from_slice(AFTER_START);
        // The parser panics on many malformed files.
        match catch_quietly(|| matrw::load_matfile_from_u8(&bytes)) {
            Ok(Ok(file)) => Ok(Self(file)),
            Ok(Err(_)) | Err(_) => Err(invalid("is damaged; restore it from the archive")),
        }
    }

    /// Returns the records of a struct array, or `None` if the variable is not a struct array.
    pub(super) fn records(&self, variable: &str) -> Option<Vec<Record<'_>>> {
        match unpacked(&self.0[variable]) {
            MatVariable::StructureArray(array) => Some(array.value.iter().map(Record).collect()),
            one @ MatVariable::Structure(_) => Some(vec![Record(one)]),
            _ => None,
        }
    }

    /// Returns the strings of a cell array, `None` for elements that are not strings. Returns `None` if
    /// the variable is not a cell array.
    pub(super) fn texts(&self, variable: &str) -> Option<Vec<Option<String>>> {
        match unpacked(&self.0[variable]) {
            MatVariable::CellArray(array) => Some(array.value.iter().map(text).collect()),
            _ => None,
        }
    }
}

/// A record of a struct array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a>(&'a MatVariable);

impl Record<'_> {
    /// Returns the string of a field, or `None` if it is absent or not a string.
    pub(super) fn text(self, field: &str) -> Option<String> {
        text(&self.0[field])
    }

    /// Returns the whole number, from 0, of a field of any numeric type, or `None` if it is absent or not
    /// a whole number.
    pub(super) fn number(self, field: &str) -> Option<usize> {
        let whole = scalar(unpacked(&self.0[field]).numeric_type()?)?;
        (whole >= 0.0 && whole.fract() == 0.0 && whole <= f64::from(u32::MAX))
            .then_some(whole as usize)
    }
}

/// Returns the value of a numeric array of one element. `matrw`'s own conversions panic on other types
/// than requested.
fn scalar(values: &MatlabType) -> Option<f64> {
    match values {
        MatlabType::U8(values) => one(values).map(f64::from),
        MatlabType::I8(values) => one(values).map(f64::from),
        MatlabType::U16(values) => one(values).map(f64::from),
        MatlabType::I16(values) => one(values).map(f64::from),
        MatlabType::U32(values) => one(values).map(f64::from),
        MatlabType::I32(values) => one(values).map(f64::from),
        MatlabType::U64(values) => one(values).map(|value| value as f64),
        MatlabType::I64(values) => one(values).map(|value| value as f64),
        MatlabType::F32(values) => one(values).map(f64::from),
        MatlabType::F64(values) => one(values),
        MatlabType::UTF8(_) | MatlabType::UTF16(_) | MatlabType::BOOL(_) => None,
    }
}

fn one<T: Copy>(values: &[T]) -> Option<T> {
    match values {
        [value] => Some(*value),
        _ => None,
    }
}

fn unpacked(variable: &MatVariable) -> &MatVariable {
    match variable {
        MatVariable::Compressed(inner) => &inner.value,
        other => other,
    }
}

fn text(variable: &MatVariable) -> Option<String> {
    match unpacked(variable).numeric_type()? {
        MatlabType::UTF8(letters) | MatlabType::UTF16(letters) => Some(letters.iter().collect()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "tests/mat_file.rs"]
mod tests;
