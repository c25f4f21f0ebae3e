//! The header of a `.npy` file: the magic, a version, and a Python dictionary with the type, the order of
//! the axes and the shape.
//!
//! The crates for the format (`npyz`, `ndarray-npy`) parse any Python literal, without a limit on its length
//! or nesting, and multiply the lengths of the axes without a check. A header needs three keys only.

use super::MAGIC;
use crate::embedding_file::element::{ByteOrder, Element};
use crate::embedding_file::raw_array::MAXIMUM_AXES;
use crate::shorten::shorten;

/// The most bytes of a dictionary. That of a matrix has less than 128.
const MAXIMUM_DICTIONARY: usize = 64 * 1024;

/// What a header says about the values after it.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) byte_order: ByteOrder,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// Returns the header of a file, and the bytes after it.
///
/// # Errors
/// The difference from the format, with what to do.
pub(super) fn parse(file: &[u8]) -> Result<(Header, &[u8]), String> {
    let truncated = || "it is truncated within its header; copy or save it again".to_string();
    let rest = file
        .strip_prefix(MAGIC)
        .ok_or("it does not start as a .npy file does")?;
    let (&[major, minor], rest) = rest.split_first_chunk().ok_or_else(truncated)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => {
            return Err(format!(
                "it has version {major}.{minor} of the .npy format, and versions 1 to 3 are read; save it with \
                 numpy.save"
            ));
        }
    };
    if length > MAXIMUM_DICTIONARY {
        return Err(format!(
            "its header has {length} bytes, and at most 64 KiB are read; save a plain matrix with numpy.save"
        ));
    }
    let (dictionary, values) = rest.split_at_checked(length).ok_or_else(truncated)?;
    let text = str::from_utf8(dictionary).map_err(|_| damaged(""))?;
    Ok((Parser { rest: text }.dictionary()?, values))
}

fn damaged(at: &str) -> String {
    match shorten(at.trim_end()).as_ref() {
        "" => "its header is damaged; save it again with numpy.save".into(),
        at => format!("its header is damaged at `{at}`; save it again with numpy.save"),
    }
}

/// A parser of the dictionary. `rest` is the text that follows.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn dictionary(mut self) -> Result<Header, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.skip('}') {
            let key = self.string()?;
            self.expect(':')?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.shape()?),
                _ => {
                    let key = shorten(key);
                    return Err(format!(
                        "its header has the unknown key `{key}`; save it with numpy.save"
                    ));
                }
            }
            if !self.skip(',') {
                self.expect('}')?;
                break;
            }
        }
        let missing =
            |key: &str| format!("its header lacks `{key}`; save it again with numpy.save");
        let (element, byte_order) = Element::from_numpy(descr.ok_or_else(|| missing("descr"))?)?;
        Ok(Header {
            element,
            byte_order,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    fn skip(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start();
        let after = rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(rest);
        after.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.skip(wanted) {
            true => Ok(()),
            false => Err(damaged(self.rest)),
        }
    }

    /// A string in quotation marks. The strings of a plain array contain no escapes.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = match self.rest.trim_start().chars().next() {
            Some(quote @ ('\'' | '"')) => quote,
            _ => return Err(damaged(self.rest)),
        };
        self.expect(quote)?;
        let (string, rest) = self
            .rest
            .split_once(quote)
            .ok_or_else(|| damaged(self.rest))?;
        self.rest = rest;
        Ok(string)
    }

    /// The type of the elements. That of a structured array is a list of its fields.
    fn descr(&mut self) -> Result<&'a str, String> {
        if self.skip('[') {
            return Err(
                "it is a structured array, with fields; save one field as a plain array".into(),
            );
        }
        self.string()
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(after) = rest.strip_prefix(word) {
                self.rest = after;
                return Ok(value);
            }
        }
        Err(damaged(rest))
    }

    /// A tuple of numbers. Python 2 wrote an L after large ones.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.skip(')') {
            let rest = self.rest.trim_start();
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let length = rest[..end].parse().map_err(|_| damaged(rest))?;
            if shape.len() == MAXIMUM_AXES {
                return Err(format!(
                    "it has more than {MAXIMUM_AXES} axes; save a matrix"
                ));
            }
            shape.push(length);
            let after = &rest[end..];
            self.rest = after.strip_prefix('L').unwrap_or(after);
            if !self.skip(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, dictionary: &str) -> Vec<u8> {
        let mut file = [MAGIC, &[version, 0]].concat();
        match version {
            1 => file.extend((dictionary.len() as u16).to_le_bytes()),
            _ => file.extend((dictionary.len() as u32).to_le_bytes()),
        }
        file.extend(dictionary.as_bytes());
        file.extend(b"values");
        file
    }

    #[test]
    fn headers_of_every_version_order_and_spelling_are_read() {
        for version in [1, 2, 3] {
            for (dictionary, expected) in [
                (
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
                    (Element::F32, ByteOrder::Little, false, vec![2, 3]),
                ),
                (
                    "{\"shape\": (7,), \"fortran_order\": True, \"descr\": \">i8\"}",
                    (Element::I64, ByteOrder::Big, true, vec![7]),
                ),
                // Python 2 wrote long numbers with an L.
                (
                    "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L)}",
                    (Element::U8, ByteOrder::Little, false, vec![2, 3]),
                ),
                (
                    "{ 'descr':'<U12','fortran_order':False,'shape':() }",
                    (Element::Utf32(12), ByteOrder::Little, false, vec![]),
                ),
            ] {
                let file = file(version, dictionary);
                let (header, values) = parse(&file).unwrap();
                let (element, byte_order, fortran_order, shape) = expected;
                let expected = Header {
                    element,
                    byte_order,
                    fortran_order,
                    shape,
                };
                assert_eq!((header, values), (expected, &b"values"[..]));
            }
        }
    }

    #[test]
    fn damaged_headers_are_refused() {
        let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let whole = file(1, dictionary);
        for length in MAGIC.len()..whole.len() - b"values".len() {
            let message = parse(&whole[..length]).unwrap_err();
            assert!(message.contains("truncated"), "{length}: {message}");
        }
        for end in 0..dictionary.len() - 1 {
            parse(&file(1, &dictionary[..end])).unwrap_err();
        }
        for (version, dictionary, reason) in [
            (4, dictionary, "version 4.0 of the .npy format"),
            (
                1,
                "{'descr': '<f4', 'shape': (2, 3)}",
                "lacks `fortran_order`",
            ),
            (1, "{'descr': '<f4', 'order': 1}", "unknown key `order`"),
            (1, "{'descr': '<f4', 'fortran_order': 0}", "damaged at `0}`"),
            (
                1,
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}",
                "damaged at `-2, 3)}`",
            ),
            (
                1,
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
                "damaged at `99999999999999999999, 3)}`",
            ),
            (
                1,
                "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}",
                "a structured array",
            ),
        ] {
            let message = parse(&file(version, dictionary)).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
        let many = format!("{{'descr': '<f4', 'shape': ({}), }}", "1, ".repeat(65));
        assert!(parse(&file(2, &many)).unwrap_err().contains("64 axes"));
        let long = file(2, &" ".repeat(MAXIMUM_DICTIONARY + 1));
        assert!(parse(&long).unwrap_err().contains("64 KiB"));
    }
}
