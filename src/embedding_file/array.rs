//! Numbers as an array of a file.

use std::borrow::Cow;
use std::io::{self, Write};

use safetensors::tensor::{Dtype, View};

/// An array of numbers, which are converted to bytes only when they are written.
pub(super) struct Array<'a> {
    numbers: Numbers<'a>,
    shape: Vec<usize>,
}

enum Numbers<'a> {
    Floats(&'a [f32]),
    Integers(&'a [i64]),
}

impl<'a> Array<'a> {
    pub(super) fn floats(numbers: &'a [f32], shape: Vec<usize>) -> Self {
        let numbers = Numbers::Floats(numbers);
        Self { numbers, shape }
    }

    pub(super) fn integers(numbers: &'a [i64], shape: Vec<usize>) -> Self {
        let numbers = Numbers::Integers(numbers);
        Self { numbers, shape }
    }

    /// Returns NumPy's name of the little-endian type.
    pub(super) fn numpy_type(&self) -> &'static str {
        match self.numbers {
            Numbers::Floats(_) => "<f4",
            Numbers::Integers(_) => "<i8",
        }
    }

    /// Returns the lengths of the axes.
    pub(super) fn dimensions(&self) -> &[usize] {
        &self.shape
    }

    /// Writes the numbers, row by row.
    pub(super) fn write_to(&self, file: &mut impl Write) -> io::Result<()> {
        match self.numbers {
            Numbers::Floats(numbers) => numbers
                .iter()
                .try_for_each(|x| file.write_all(&x.to_le_bytes())),
            Numbers::Integers(numbers) => numbers
                .iter()
                .try_for_each(|x| file.write_all(&x.to_le_bytes())),
        }
    }
}

impl View for Array<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::Floats(_) => Dtype::F32,
            Numbers::Integers(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        let written = self.write_to(&mut bytes);
        written.expect("a vector can be written");
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        match self.numbers {
            Numbers::Floats(numbers) => size_of_val(numbers),
            Numbers::Integers(numbers) => size_of_val(numbers),
        }
    }
}
