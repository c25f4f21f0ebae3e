//! Records of event files (TensorFlow's TFRecord format): the length of the data as a little-endian u64, its
//! checksum, the data, and the checksum of the data. A checksum is a masked CRC-32C.

use std::io::{self, ErrorKind, Read};

/// A longer record is damaged: the longest one that is written, with a contact sheet, has some hundred kilobytes.
const MAXIMUM: u64 = 16 << 20;

/// Bytes around the data of a record.
pub(super) const FRAME: usize = 8 + 4 + 4;

/// Appends `data` to `bytes` as a record.
pub(super) fn push_record(bytes: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked_crc(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked_crc(data).to_le_bytes());
}

/// CRC-32C, rotated and shifted by a constant, because a CRC of data that contains CRCs is weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// What is read next from an event file.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The data of a record.
    Record(Vec<u8>),
    /// The end of the file, after a complete record.
    End,
    /// The last record is incomplete: its process was killed, or still writes it.
    Truncated,
    /// A checksum differs, or the length is impossible.
    Damaged,
}

/// Reads the next record.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn read_record(file: &mut impl Read) -> io::Result<Next> {
    let mut head = [0; 12];
    match read_fully(file, &mut head)? {
        0 => return Ok(Next::End),
        12 => {}
        _ => return Ok(Next::Truncated),
    }
    let [length, crc] = [&head[..8], &head[8..]];
    if crc != masked_crc(length).to_le_bytes() {
        return Ok(Next::Damaged);
    }
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    if length > MAXIMUM {
        return Ok(Next::Damaged);
    }
    let mut data = vec![0; length as usize + 4];
    if read_fully(file, &mut data)? < data.len() {
        return Ok(Next::Truncated);
    }
    let crc = data.split_off(length as usize);
    match crc == masked_crc(&data).to_le_bytes() {
        true => Ok(Next::Record(data)),
        false => Ok(Next::Damaged),
    }
}

/// Reads until `buffer` is full or the file ends. Returns the number of bytes.
fn read_fully(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_that_of_tensorboard() {
        let mut bytes = Vec::new();
        push_record(&mut bytes, b"loop");
        // tensorboard.summary.writer.record_writer.RecordWriter(file).write(b"loop")
        let expected = "0400000000000000424552046c6f6f70d675d6b2";
        assert_eq!(crate::hex::hex(&bytes), expected);
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        let mut bytes = Vec::new();
        push_record(&mut bytes, b"first");
        let first = bytes.len();
        push_record(&mut bytes, b"second");
        for end in 0..bytes.len() {
            let mut file = &bytes[..end];
            let expected = match end {
                0 => Next::End,
                end if end < first => Next::Truncated,
                _ => Next::Record(b"first".to_vec()),
            };
            assert_eq!(read_record(&mut file).unwrap(), expected, "{end}");
            if end > first {
                assert_eq!(read_record(&mut file).unwrap(), Next::Truncated);
            }
        }
        for at in 0..first {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(
                read_record(&mut changed.as_slice()).unwrap(),
                Next::Damaged,
                "{at}"
            );
        }
    }

    #[test]
    fn length_beyond_the_limit_takes_no_memory() {
        let length = u64::MAX.to_le_bytes();
        let head = [&length[..], &masked_crc(&length).to_le_bytes()].concat();
        assert_eq!(read_record(&mut head.as_slice()).unwrap(), Next::Damaged);
    }
}
