//! The elements of a MATLAB file: a type, a length and the bytes.

use super::MatError;

/// The types of elements.
pub(super) mod kind {
    pub(in super::super) const INT8: u32 = 1;
    pub(in super::super) const UINT8: u32 = 2;
    pub(in super::super) const INT16: u32 = 3;
    pub(in super::super) const UINT16: u32 = 4;
    pub(in super::super) const INT32: u32 = 5;
    pub(in super::super) const UINT32: u32 = 6;
    pub(in super::super) const SINGLE: u32 = 7;
    pub(in super::super) const DOUBLE: u32 = 9;
    pub(in super::super) const INT64: u32 = 12;
    pub(in super::super) const UINT64: u32 = 13;
    pub(in super::super) const MATRIX: u32 = 14;
    pub(in super::super) const COMPRESSED: u32 = 15;
    pub(in super::super) const UTF8: u32 = 16;
    pub(in super::super) const UTF16: u32 = 17;
}

/// Elements begin at multiples of this number of bytes.
const ALIGNMENT: usize = 8;

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Returns the bytes of a number in little-endian order.
    fn ordered<const SIZE: usize>(self, mut bytes: [u8; SIZE]) -> [u8; SIZE] {
        if self == Self::Big {
            bytes.reverse();
        }
        bytes
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(self.ordered(bytes))
    }
}

/// An element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) kind: u32,
    pub(super) data: &'a [u8],
    order: ByteOrder,
}

impl Element<'_> {
    /// Returns its numbers; `None` if it has another type than one of numbers.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        Some(match self.kind {
            kind::INT8 => self.each(|[byte]| (byte as i8).into()),
            kind::UINT8 => self.each(|[byte]| byte.into()),
            kind::INT16 => self.each(|bytes| i16::from_le_bytes(bytes).into()),
            kind::UINT16 => self.each(|bytes| u16::from_le_bytes(bytes).into()),
            kind::INT32 => self.each(|bytes| i32::from_le_bytes(bytes).into()),
            kind::UINT32 => self.each(|bytes| u32::from_le_bytes(bytes).into()),
            kind::SINGLE => self.each(|bytes| f32::from_le_bytes(bytes).into()),
            kind::DOUBLE => self.each(f64::from_le_bytes),
            kind::INT64 => self.each(|bytes| i64::from_le_bytes(bytes) as f64),
            kind::UINT64 => self.each(|bytes| u64::from_le_bytes(bytes) as f64),
            _ => return None,
        })
    }

    /// Returns its letters; `None` if it has another type than one of text.
    pub(super) fn text(&self) -> Option<String> {
        match self.kind {
            kind::UTF8 => Some(String::from_utf8_lossy(self.data).into_owned()),
            kind::INT8 | kind::UINT8 => Some(self.data.iter().copied().map(char::from).collect()),
            kind::UINT16 | kind::UTF16 => {
                let units = self.each(u16::from_le_bytes);
                Some(String::from_utf16_lossy(&units))
            }
            _ => None,
        }
    }

    fn each<T, const SIZE: usize>(&self, number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
        let (numbers, _) = self.data.as_chunks();
        let numbers = numbers.iter();
        numbers
            .map(|&bytes| number(self.order.ordered(bytes)))
            .collect()
    }
}

/// Consecutive elements.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, order }
    }

    /// Returns the next element; `None` at the end.
    ///
    /// # Errors
    /// If it is longer than the bytes that are left.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, MatError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let tag = self.take(4)?.first_chunk().copied().unwrap_or_default();
        let tag = self.order.u32(tag);
        let (kind, data) = match tag >> 16 {
            0 => {
                let length = self.take(4)?.first_chunk().copied().unwrap_or_default();
                let length = self.order.u32(length) as usize;
                let data = self.take(length)?;
                if tag != kind::COMPRESSED {
                    let padding = length.next_multiple_of(ALIGNMENT) - length;
                    self.bytes = self.bytes.get(padding..).unwrap_or_default();
                }
                (tag, data)
            }
            // At most four bytes, instead of the length.
            length => {
                let data = self.take(4)?.get(..length as usize);
                (tag & 0xffff, data.ok_or(MatError::Damaged)?)
            }
        };
        let order = self.order;
        Ok(Some(Element { kind, data, order }))
    }

    /// Returns the next element.
    ///
    /// # Errors
    /// If there are no more, or it is longer than the bytes that are left.
    pub(super) fn required(&mut self) -> Result<Element<'a>, MatError> {
        self.next()?.ok_or(MatError::Damaged)
    }

    /// Returns the next element, which has the type `kind`.
    ///
    /// # Errors
    /// If there are no more, it has another type, or it is longer than the bytes that are left.
    pub(super) fn of_kind(&mut self, kind: u32) -> Result<Element<'a>, MatError> {
        match self.required()? {
            element if element.kind == kind => Ok(element),
            _ => Err(MatError::Damaged),
        }
    }

    /// Returns the most elements that the bytes can contain.
    pub(super) fn most(&self) -> usize {
        self.bytes.len() / ALIGNMENT
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MatError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(MatError::Damaged)?;
        self.bytes = rest;
        Ok(taken)
    }
}
