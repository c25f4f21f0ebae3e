//! Writing NumPy's `.npy`, version 1.0, as NumPy's own `numpy/lib/format.py` describes it.

use std::io::{self, BufWriter, Write};

use crate::embedding_file::array::Array;

/// The magic and the version.
const START: &[u8] = b"\x93NUMPY\x01\x00";

/// The values begin at a multiple of this number of bytes.
const ALIGNMENT: usize = 64;

/// Writes the array as a whole file.
///
/// # Errors
/// If the file cannot be written.
pub(in crate::embedding_file) fn write_npy(array: &Array, file: impl Write) -> io::Result<()> {
    let mut buffered = BufWriter::new(file);
    buffered.write_all(&header(array.numpy_type(), array.dimensions()))?;
    array.write_to(&mut buffered)?;
    buffered.flush()
}

/// Returns the bytes before the values: magic, length of the dictionary, the dictionary, padding.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    // In Python, a tuple of one has a comma too.
    let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let shape = match shape.matches(',').count() {
        1 => shape.trim_end(),
        _ => shape.trim_end_matches(", "),
    };
    let mut dictionary =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let before = START.len() + size_of::<u16>();
    let padded = (before + dictionary.len() + 1).next_multiple_of(ALIGNMENT);
    dictionary.extend(std::iter::repeat_n(
        ' ',
        padded - before - dictionary.len() - 1,
    ));
    dictionary.push('\n');
    let length = u16::try_from(dictionary.len()).expect("the shape has at most two numbers");
    [START, &length.to_le_bytes(), dictionary.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    // np.save(file, np.zeros((2, 3), "<f4")) and np.zeros(2, "<i8"), NumPy 2.4: the first 128 bytes.
    #[test]
    fn headers_are_equal_to_numpys() {
        for (kind, shape, dictionary) in [
            (
                "<f4",
                &[2, 3][..],
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
            ),
            (
                "<i8",
                &[2],
                "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
            ),
        ] {
            let header = header(kind, shape);
            assert_eq!(header[..10], *b"\x93NUMPY\x01\x00v\x00");
            let padded = format!("{dictionary:117}\n");
            assert_eq!(String::from_utf8_lossy(&header[10..]), padded);
        }
    }
}
