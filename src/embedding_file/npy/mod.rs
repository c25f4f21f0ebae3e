//! NumPy's `.npy`: an array in one file, as NumPy's own `numpy/lib/_format_impl.py` describes it.

mod header;
mod write;

use super::raw_array::RawArray;

pub(in crate::embedding_file) use write::write_npy;

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Returns the array of a whole `.npy` file, called `name` in messages.
///
/// # Errors
/// The difference from the format, with what to do.
pub(super) fn parse_npy<'a>(name: &str, file: &'a [u8]) -> Result<RawArray<'a>, String> {
    let (header, values) = header::parse(file)?;
    RawArray::new(
        name,
        header.element,
        header.byte_order,
        header.shape,
        header.fortran_order,
        values,
    )
}

/// Returns the array of a whole `.npy` file as [`parse_npy`] does, without a copy of its values.
///
/// # Errors
/// The difference from the format, with what to do.
pub(super) fn parse_whole_npy(name: &str, mut file: Vec<u8>) -> Result<RawArray<'static>, String> {
    let (header, values) = header::parse(&file)?;
    let start = file.len() - values.len();
    file.drain(..start);
    RawArray::new(
        name,
        header.element,
        header.byte_order,
        header.shape,
        header.fortran_order,
        file,
    )
}

/// Returns the number of axes of the array whose file starts with `start`; `None` if its header is not understood.
pub(super) fn axes(start: &[u8]) -> Option<usize> {
    Some(header::parse(start).ok()?.0.shape.len())
}
