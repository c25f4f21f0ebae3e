//! An array of a file before its conversion: its type, its shape and its bytes.

use std::borrow::Cow;

use super::element::{ByteOrder, Element};
use super::labels::Labels;

/// The most axes of an array, NumPy's own limit.
pub(super) const MAXIMUM_AXES: usize = 64;

/// An array of a file. The number of its bytes is that of its shape and type.
#[derive(Debug)]
pub(super) struct RawArray<'a> {
    /// What messages call it, such as `the tensor embeddings`.
    name: String,
    element: Element,
    byte_order: ByteOrder,
    shape: Vec<usize>,
    /// Whether the first axis varies fastest.
    fortran_order: bool,
    bytes: Cow<'a, [u8]>,
}

/// A matrix of embeddings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Matrix {
    /// The numbers, row by row.
    pub(super) rows: Vec<f32>,
    /// The length of a row, at least 1.
    pub(super) dim: usize,
    /// The first row with a number that single precision cannot hold, and the number.
    pub(super) overflow: Option<(usize, f64)>,
}

impl<'a> RawArray<'a> {
    /// Creates an array from the bytes of its elements.
    ///
    /// # Errors
    /// If there are not as many bytes as the shape needs.
    pub(super) fn new(
        name: &str,
        element: Element,
        byte_order: ByteOrder,
        shape: Vec<usize>,
        fortran_order: bool,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, String> {
        let bytes = bytes.into();
        if shape.len() > MAXIMUM_AXES {
            return Err(format!(
                "{name} has {} axes; save a matrix [N, D]",
                shape.len()
            ));
        }
        let expected = shape
            .iter()
            .try_fold(1usize, |count, &length| count.checked_mul(length));
        let expected = expected.and_then(|count| count.checked_mul(element.size()?));
        let kind = element.name();
        match expected {
            Some(expected) if expected == bytes.len() => Ok(Self {
                name: name.into(),
                element,
                byte_order,
                shape,
                fortran_order,
                bytes,
            }),
            Some(expected) if expected < bytes.len() => Err(format!(
                "{name} of {kind} {shape:?} takes {expected} bytes, and {} follow; the file was changed, or \
                 several arrays were saved to it: save one",
                bytes.len()
            )),
            Some(expected) => Err(format!(
                "it is truncated: {name} of {kind} {shape:?} takes {expected} bytes, and {} follow; copy or \
                 save it again",
                bytes.len()
            )),
            None => Err(format!(
                "{name} of {kind} {shape:?} is larger than any file; its header is damaged"
            )),
        }
    }

    /// Returns the embeddings.
    ///
    /// # Errors
    /// If it is not a matrix \[N, D\] of floating-point numbers with N and D at least 1.
    pub(super) fn matrix(&self) -> Result<Matrix, String> {
        let (name, shape) = (&self.name, &self.shape);
        let &[count, dim] = &shape[..] else {
            let advice = match shape.len() {
                0 | 1 => {
                    "save a matrix [N, D] with one row for each image, one image too: x.reshape(1, -1)"
                }
                _ => "save a matrix [N, D] with one row for each image: x.reshape(len(x), -1)",
            };
            let axes = shape.len();
            return Err(format!("{name} has {axes} axes {shape:?}; {advice}"));
        };
        if count == 0 || dim == 0 {
            return Err(format!(
                "{name} {shape:?} is empty; save at least one row and column"
            ));
        }
        let Some(numbers) = self.element.floats(&self.bytes, self.byte_order) else {
            let kind = self.element.name();
            return Err(format!(
                "{name} is {kind}, and embeddings are float16, bfloat16, float32 or float64; save \
                 x.astype(numpy.float32)"
            ));
        };
        let overflow = self.element.first_overflow(&self.bytes, self.byte_order);
        let row = |index: usize| match self.fortran_order {
            true => index % count,
            false => index / dim,
        };
        Ok(Matrix {
            rows: match self.fortran_order {
                true => transposed(&numbers, count),
                false => numbers,
            },
            dim,
            overflow: overflow.map(|(index, number)| (row(index), number)),
        })
    }

    /// Returns the labels.
    ///
    /// # Errors
    /// If it is not a list of integers up to [`i64::MAX`] or texts.
    pub(super) fn labels(&self) -> Result<Labels, String> {
        let Self {
            name,
            shape,
            element,
            ..
        } = self;
        if shape.len() != 1 {
            return Err(format!(
                "{name} has {} axes {shape:?}; save one label for each row of the embeddings: x.reshape(-1)",
                shape.len()
            ));
        }
        if let Some(numbers) = element.integers(&self.bytes, self.byte_order) {
            return match numbers {
                Ok(numbers) => Ok(Labels::from_numbers(numbers)),
                Err((row, label)) => Err(format!(
                    "label {label} in row {row} of {name} is above {}; number the classes from 0",
                    i64::MAX
                )),
            };
        }
        match element.texts(&self.bytes, self.byte_order) {
            Some(Ok(texts)) => Ok(Labels::from_names(&texts)),
            Some(Err(row)) => Err(format!(
                "row {row} of {name} is not Unicode; save texts as str"
            )),
            None => {
                let kind = element.name();
                Err(format!(
                    "{name} is {kind}, and labels are integers or texts; save x.astype(numpy.int64)"
                ))
            }
        }
    }
}

/// Returns a matrix of `count` rows, which is stored column by column, row by row.
fn transposed(columns: &[f32], count: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(columns.len());
    for row in 0..count {
        rows.extend(columns[row..].iter().step_by(count));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element: Element, shape: &[usize], bytes: Vec<u8>) -> RawArray<'static> {
        let little = ByteOrder::Little;
        RawArray::new("the array", element, little, shape.to_vec(), false, bytes).unwrap()
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn both_orders_of_the_axes_are_read() {
        let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (fortran_order, rows) in [
            (false, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            // Three columns of two rows.
            (true, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        ] {
            let order = ByteOrder::Little;
            let bytes = floats(&numbers);
            let array = RawArray::new("x", Element::F32, order, vec![2, 3], fortran_order, bytes);
            let matrix = array.unwrap().matrix().unwrap();
            assert_eq!((matrix.rows, matrix.dim), (rows.to_vec(), 3));
        }
    }

    #[test]
    fn overflow_is_in_its_row_in_both_orders() {
        let mut numbers = [1.0; 6];
        numbers[4] = 1e39;
        let bytes: Vec<u8> = numbers.iter().flat_map(|x: &f64| x.to_le_bytes()).collect();
        for (fortran_order, row) in [(false, 1), (true, 0)] {
            let (order, bytes) = (ByteOrder::Little, &bytes[..]);
            let array = RawArray::new("x", Element::F64, order, vec![2, 3], fortran_order, bytes);
            assert_eq!(array.unwrap().matrix().unwrap().overflow, Some((row, 1e39)));
        }
    }

    #[test]
    fn other_numbers_of_bytes_are_refused() {
        let new = |shape: &[usize], bytes: usize| {
            let (order, bytes) = (ByteOrder::Little, vec![0; bytes]);
            let array = RawArray::new(
                "the array",
                Element::F32,
                order,
                shape.to_vec(),
                false,
                bytes,
            );
            array.unwrap_err()
        };
        assert_eq!(
            new(&[2, 3], 23),
            "it is truncated: the array of float32 [2, 3] takes 24 bytes, and 23 follow; copy or save it again"
        );
        assert!(new(&[2, 3], 25).contains("several arrays were saved to it"));
        assert!(new(&[1 << 40, 1 << 40], 4).contains("larger than any file"));
        assert!(new(&[1 << 62, 1], 4).contains("larger than any file"));
    }

    #[test]
    fn what_is_not_a_matrix_of_floats_is_refused_by_name() {
        for (element, shape, bytes, reason) in [
            (
                Element::F32,
                &[6][..],
                24,
                "has 1 axes [6]; save a matrix [N, D]",
            ),
            (Element::F32, &[], 4, "has 0 axes []"),
            (
                Element::F32,
                &[1, 2, 3],
                24,
                "has 3 axes [1, 2, 3]; save a matrix",
            ),
            (Element::F32, &[0, 3], 0, "[0, 3] is empty"),
            (Element::F32, &[3, 0], 0, "[3, 0] is empty"),
            (Element::I8, &[2, 3], 6, "the array is int8"),
            (Element::Utf32(1), &[2, 3], 24, "the array is text"),
        ] {
            let message = array(element, shape, vec![0; bytes]).matrix().unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn texts_without_a_class_are_minus_one() {
        let text: Vec<u8> = ["cat ", "-1  ", "-1.0", "    "].concat().into_bytes();
        let text = text.iter().map(|&byte| if byte == b' ' { 0 } else { byte });
        let bytes: Vec<u8> = text
            .flat_map(|byte| u32::from(byte).to_le_bytes())
            .collect();
        let labels = array(Element::Utf32(4), &[4], bytes).labels().unwrap();
        assert_eq!(labels.numbers, [0, -1, -1, -1]);
        assert_eq!(labels.classes, Some(vec!["cat".into()]));
    }

    #[test]
    fn what_is_not_a_list_of_labels_is_refused_by_name() {
        for (element, shape, bytes, reason) in [
            (
                Element::I64,
                &[2, 1][..],
                vec![0; 16],
                "has 2 axes [2, 1]; save one label",
            ),
            (
                Element::F32,
                &[2],
                vec![0; 8],
                "is float32, and labels are integers or texts",
            ),
            (
                Element::U64,
                &[1],
                vec![255; 8],
                "label 18446744073709551615 in row 0",
            ),
            (
                Element::Bytes(1),
                &[1],
                vec![255],
                "row 0 of the array is not Unicode",
            ),
        ] {
            let message = array(element, shape, bytes).labels().unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
    }
}
