//! The types of the elements of an array in a file, and their conversion.

use burn::tensor::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::shorten::shorten;

/// The type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    /// A text of at most so many characters in UTF-32, padded with zeros.
    Utf32(usize),
    /// A text of at most so many bytes, padded with zeros.
    Bytes(usize),
}

/// The order of the bytes of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Calls `$convert` with each number of `$bytes`, as `$type` in the byte order `$order`.
macro_rules! numbers {
    ($type:ty, $bytes:expr, $order:expr, $convert:expr) => {{
        let (numbers, _) = $bytes.as_chunks::<{ size_of::<$type>() }>();
        let convert = $convert;
        match $order {
            ByteOrder::Little => numbers
                .iter()
                .map(|&bytes| convert(<$type>::from_le_bytes(bytes)))
                .collect(),
            ByteOrder::Big => numbers
                .iter()
                .map(|&bytes| convert(<$type>::from_be_bytes(bytes)))
                .collect(),
        }
    }};
}

impl Element {
    /// Returns the type that NumPy calls `descr`, such as `<f4`.
    ///
    /// # Errors
    /// Why arrays of other types are not read, with what to do.
    pub(super) fn from_numpy(descr: &str) -> Result<(Self, ByteOrder), String> {
        let byte_order = match descr.chars().next() {
            Some('>') => ByteOrder::Big,
            _ => ByteOrder::Little,
        };
        let kind = descr.trim_start_matches(['<', '>', '|', '=']);
        let length = || kind[1..].parse().ok();
        let element = match kind {
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            _ if kind.starts_with('U') => Self::Utf32(length().ok_or_else(|| unknown(descr))?),
            _ if kind.starts_with('S') => Self::Bytes(length().ok_or_else(|| unknown(descr))?),
            _ => return Err(unreadable(kind).unwrap_or_else(|| unknown(descr))),
        };
        Ok((element, byte_order))
    }

    /// Returns the type of a tensor, or `None` if tensors of this type are not read.
    pub(super) fn from_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::Bf16,
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            Dtype::I8 => Self::I8,
            Dtype::I16 => Self::I16,
            Dtype::I32 => Self::I32,
            Dtype::I64 => Self::I64,
            Dtype::U8 => Self::U8,
            Dtype::U16 => Self::U16,
            Dtype::U32 => Self::U32,
            Dtype::U64 => Self::U64,
            _ => return None,
        })
    }

    /// Returns the size of an element in bytes; `None` if it overflows.
    pub(super) fn size(self) -> Option<usize> {
        Some(match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Utf32(characters) => return characters.checked_mul(4),
            Self::Bytes(bytes) => bytes,
        })
    }

    /// Returns NumPy's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Utf32(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }

    /// Converts floating-point numbers to the nearest numbers in single precision; `None` for other types.
    pub(super) fn floats(self, bytes: &[u8], order: ByteOrder) -> Option<Vec<f32>> {
        Some(match self {
            Self::F16 => numbers!(f16, bytes, order, f16::to_f32),
            Self::Bf16 => numbers!(bf16, bytes, order, bf16::to_f32),
            Self::F32 => numbers!(f32, bytes, order, |x| x),
            Self::F64 => numbers!(f64, bytes, order, |x| x as f32),
            _ => return None,
        })
    }

    /// Returns the index of the first number that is finite but infinite in single precision, and the number.
    pub(super) fn first_overflow(self, bytes: &[u8], order: ByteOrder) -> Option<(usize, f64)> {
        if self != Self::F64 {
            return None;
        }
        let (numbers, _) = bytes.as_chunks();
        let read = match order {
            ByteOrder::Little => f64::from_le_bytes,
            ByteOrder::Big => f64::from_be_bytes,
        };
        let mut numbers = numbers.iter().map(|&bytes| read(bytes)).enumerate();
        numbers.find(|(_, x)| x.is_finite() && !(*x as f32).is_finite())
    }

    /// Converts integers; `None` for other types. Those above [`i64::MAX`] are errors with their value.
    pub(super) fn integers(
        self,
        bytes: &[u8],
        order: ByteOrder,
    ) -> Option<Result<Vec<i64>, (usize, u64)>> {
        Some(Ok(match self {
            Self::I8 => numbers!(i8, bytes, order, i64::from),
            Self::I16 => numbers!(i16, bytes, order, i64::from),
            Self::I32 => numbers!(i32, bytes, order, i64::from),
            Self::I64 => numbers!(i64, bytes, order, |x| x),
            Self::U8 => numbers!(u8, bytes, order, i64::from),
            Self::U16 => numbers!(u16, bytes, order, i64::from),
            Self::U32 => numbers!(u32, bytes, order, i64::from),
            Self::U64 => {
                let numbers: Vec<u64> = numbers!(u64, bytes, order, |x| x);
                let numbers = numbers.into_iter().enumerate();
                let fitting = numbers.map(|(row, x)| i64::try_from(x).map_err(|_| (row, x)));
                return Some(fitting.collect());
            }
            _ => return None,
        }))
    }

    /// Decodes texts; `None` for other types. A text that is not Unicode is an error with its index.
    pub(super) fn texts(
        self,
        bytes: &[u8],
        order: ByteOrder,
    ) -> Option<Result<Vec<String>, usize>> {
        let size = self.size()?;
        let decode = |text: &[u8]| match self {
            Self::Utf32(_) => {
                let codes: Vec<u32> = numbers!(u32, text, order, |x| x);
                let length = codes
                    .iter()
                    .rposition(|&code| code != 0)
                    .map_or(0, |last| last + 1);
                let characters = codes[..length].iter().map(|&code| char::from_u32(code));
                characters.collect::<Option<String>>()
            }
            _ => {
                let length = text
                    .iter()
                    .rposition(|&byte| byte != 0)
                    .map_or(0, |last| last + 1);
                String::from_utf8(text[..length].to_vec()).ok()
            }
        };
        match self {
            Self::Utf32(_) | Self::Bytes(_) => {
                // Texts without characters have no bytes.
                let texts = bytes.chunks(size.max(1)).enumerate();
                Some(texts.map(|(row, text)| decode(text).ok_or(row)).collect())
            }
            _ => None,
        }
    }
}

/// Why the elements of NumPy's type `kind`, without its byte order, are not read; `None` if it is not known.
fn unreadable(kind: &str) -> Option<String> {
    Some(match kind.chars().next()? {
        'O' => "it is an array of Python objects, which is stored as a pickle and not read; convert it with \
                numpy.stack(x).astype(numpy.float32), or labels with x.astype(str), and save it again"
            .into(),
        'V' if kind == "V2" => {
            "its elements are 2 raw bytes (V2), as NumPy saves bfloat16; save x.astype(numpy.float32)"
                .into()
        }
        'V' => "its elements are raw bytes, not numbers; save x.astype(numpy.float32)".into(),
        'c' => "its elements are complex numbers; save real ones".into(),
        'b' => "its elements are booleans; save numbers".into(),
        'f' => "its elements are floating-point numbers of more than 64 bits; save x.astype(numpy.float32)".into(),
        'm' | 'M' => "its elements are times; save numbers".into(),
        _ => return None,
    })
}

fn unknown(descr: &str) -> String {
    let descr = shorten(descr);
    format!("its elements have the unknown type `{descr}`; save x.astype(numpy.float32)")
}

#[cfg(test)]
mod tests {
    use super::*;

    use ByteOrder::{Big, Little};

    fn floats(element: Element, bytes: &[u8]) -> Vec<f32> {
        let mut swapped = bytes.to_vec();
        let size = element.size().unwrap();
        swapped.chunks_mut(size).for_each(<[u8]>::reverse);
        let little = element.floats(bytes, Little).unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let big = element.floats(&swapped, Big).unwrap();
        assert_eq!(bits(&little), bits(&big));
        little
    }

    // The values by IEEE 754: 1 sign bit, 5 (f16) or 8 (bf16) bits of the exponent, the rest of the fraction.
    #[test]
    fn halves_are_converted_exactly() {
        let halves: [u16; 8] = [
            0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x3555, 0x8000, 0x7c00,
        ];
        let bytes: Vec<u8> = halves.iter().flat_map(|x| x.to_le_bytes()).collect();
        let expected = [
            1.0,
            -2.0,
            65504.0,
            2f32.powi(-14),
            2f32.powi(-24),
            1365.0 / 4096.0,
            -0.0,
            f32::INFINITY,
        ];
        let found = floats(Element::F16, &bytes);
        assert_eq!(found.map_bits(), expected.to_vec().map_bits());
        // A bfloat16 is the upper half of a float32.
        let halves: [u16; 4] = [0x3f80, 0xc049, 0x7f7f, 0x0001];
        let bytes: Vec<u8> = halves.iter().flat_map(|x| x.to_le_bytes()).collect();
        let expected = halves.map(|half| f32::from_bits(u32::from(half) << 16));
        assert_eq!(
            floats(Element::Bf16, &bytes).map_bits(),
            expected.to_vec().map_bits()
        );
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|x| x.to_bits()).collect()
        }
    }

    #[test]
    fn doubles_are_rounded_to_nearest_and_overflow_is_found() {
        let doubles = [
            0.1,
            1.0 + 2f64.powi(-24),
            1.0 + 3.0 * 2f64.powi(-24),
            -1e-60,
            f64::NAN,
        ];
        let bytes: Vec<u8> = doubles.iter().flat_map(|x| x.to_le_bytes()).collect();
        let found = floats(Element::F64, &bytes);
        // Halfway cases go to the even neighbour.
        assert_eq!(found[..4], [0.1, 1.0, 1.0 + 2f32.powi(-22), -0.0]);
        assert!(found[4].is_nan());
        assert_eq!(Element::F64.first_overflow(&bytes, Little), None);
        let doubles = [f64::INFINITY, 3.5e38, -1e300];
        let bytes: Vec<u8> = doubles.iter().flat_map(|x| x.to_be_bytes()).collect();
        assert_eq!(Element::F64.first_overflow(&bytes, Big), Some((1, 3.5e38)));
    }

    #[test]
    fn integers_of_any_width_keep_their_values() {
        let integers = |element: Element, bytes: &[u8], order| {
            element.integers(bytes, order).expect("it is an integer")
        };
        for (element, bytes, expected) in [
            (Element::I8, &[0xff, 0x80][..], [-1, -128]),
            (Element::U8, &[0xff, 0x80], [255, 128]),
            (Element::I16, &[0xfe, 0xff, 0, 0x80], [-2, -32768]),
            (Element::U16, &[0xfe, 0xff, 0, 0x80], [65534, 32768]),
            (
                Element::I32,
                &[0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0x80],
                [-2, 1 - 2147483648],
            ),
            (
                Element::U32,
                &[0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0x80],
                [4294967294, 2147483649],
            ),
        ] {
            assert_eq!(integers(element, bytes, Little), Ok(expected.to_vec()));
            let mut swapped = bytes.to_vec();
            swapped
                .chunks_mut(bytes.len() / 2)
                .for_each(<[u8]>::reverse);
            assert_eq!(integers(element, &swapped, Big), Ok(expected.to_vec()));
        }
        let bytes = [7u64, i64::MAX as u64].map(u64::to_le_bytes).concat();
        assert_eq!(
            integers(Element::U64, &bytes, Little),
            Ok(vec![7, i64::MAX])
        );
        let bytes = [7u64, 1 << 63].map(u64::to_be_bytes).concat();
        assert_eq!(integers(Element::U64, &bytes, Big), Err((1, 1 << 63)));
        assert_eq!(Element::F32.integers(&[0; 4], Little), None);
    }

    #[test]
    fn texts_lose_their_padding_only() {
        let code = |text: &str| {
            let mut codes: Vec<u32> = text.chars().map(u32::from).collect();
            codes.resize(4, 0);
            codes
        };
        let codes = [code("é 猫"), code("")].concat();
        for (order, bytes) in [
            (
                Little,
                codes
                    .iter()
                    .flat_map(|x| x.to_le_bytes())
                    .collect::<Vec<u8>>(),
            ),
            (Big, codes.iter().flat_map(|x| x.to_be_bytes()).collect()),
        ] {
            let texts = Element::Utf32(4).texts(&bytes, order).unwrap();
            assert_eq!(texts, Ok(vec!["é 猫".into(), String::new()]));
        }
        let texts = Element::Bytes(3).texts(b"a\0\0bcd", Little).unwrap();
        assert_eq!(texts, Ok(vec!["a".into(), "bcd".into()]));
        assert_eq!(
            Element::Bytes(2).texts(b"ab\xff\xff", Little).unwrap(),
            Err(1)
        );
        let surrogate = 0xd800u32.to_le_bytes();
        assert_eq!(Element::Utf32(1).texts(&surrogate, Little).unwrap(), Err(0));
    }

    #[test]
    fn types_that_are_not_read_are_named() {
        for (descr, reason) in [
            ("|O", "Python objects"),
            ("<V2", "bfloat16"),
            ("|V7", "raw bytes"),
            ("<c8", "complex"),
            ("|b1", "booleans"),
            ("<f16", "more than 64 bits"),
            ("<M8[ns]", "times"),
            ("<U", "unknown type `<U`"),
            ("", "unknown type ``"),
            ("é", "unknown type `é`"),
        ] {
            let message = Element::from_numpy(descr).unwrap_err();
            assert!(message.contains(reason), "{descr}: {message}");
        }
    }
}
