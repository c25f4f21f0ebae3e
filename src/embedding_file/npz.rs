//! NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated.

use std::io::{Cursor, Read};

use flate2::read::DeflateDecoder;
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::array_names::{EMBEDDINGS, FoundArray, LABELS, WantedArray};
use super::npy::parse_whole_npy;
use super::raw_array::RawArray;
use crate::bounded_read::{GIB, size};
use crate::shorten::shorten;

/// The first bytes of a zip archive.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// The most bytes of a deflated array after decompression. A file of 1 MiB can promise 1 GiB.
const MAXIMUM_DEFLATED_BYTES: u64 = GIB;

/// The most arrays whose headers are read for a suggestion.
const MAXIMUM_SUGGESTED: usize = 64;

/// The extension of the files in an archive, which is not a part of the arrays' names.
const MEMBER: &str = ".npy";

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Returns the embeddings of an archive and, if they are wanted and exist, its labels.
///
/// # Errors
/// The difference from the format, with what to do.
pub(super) fn parse_npz(
    bytes: &[u8],
    with_labels: bool,
) -> Result<(RawArray<'static>, Result<RawArray<'static>, String>), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
        format!("it is a damaged zip archive ({error}); copy or save it again with numpy.savez")
    })?;
    let names: Vec<String> = archive.file_names().map(String::from).collect();
    if names.iter().any(|name| name.ends_with("/data.pkl")) {
        return Err(
            "it is a file of torch.save; save the embeddings with numpy.save, or as safetensors"
                .into(),
        );
    }
    let embeddings = match read(&mut archive, EMBEDDINGS)? {
        Some(embeddings) => embeddings,
        None => return Err(EMBEDDINGS.missing("array", &arrays(&mut archive, &names))),
    };
    let labels = match with_labels {
        true => read(&mut archive, LABELS)?,
        false => None,
    };
    let missing = || {
        let mut others = arrays(&mut archive, &names);
        others.retain(|array| array.name != EMBEDDINGS.name);
        LABELS.missing("array", &others)
    };
    Ok((embeddings, labels.ok_or_else(missing)))
}

/// Reads an array; `None` if the archive does not have it.
fn read(
    archive: &mut Archive<'_>,
    wanted: WantedArray,
) -> Result<Option<RawArray<'static>>, String> {
    let name = format!("{}{MEMBER}", wanted.name);
    let Some(index) = archive.index_for_name(&name) else {
        return Ok(None);
    };
    let damaged = |error: &dyn std::fmt::Display| {
        format!(
            "its array `{}` is damaged ({error}); copy or save it again",
            wanted.name
        )
    };
    let member = archive
        .by_index_raw(index)
        .map_err(|error| damaged(&error))?;
    let (length, checksum) = (member.size(), member.crc32());
    let deflated = member.compression() != CompressionMethod::STORE;
    if deflated && length > MAXIMUM_DEFLATED_BYTES {
        return Err(format!(
            "its array `{}` is larger than {} when it is decompressed, the most that is read; save it with \
             numpy.savez, or as .npy",
            wanted.name,
            size(MAXIMUM_DEFLATED_BYTES)
        ));
    }
    let mut bytes = Vec::new();
    let reader = decompressed(member).map_err(|error| damaged(&error))?;
    // The archive may state another length than its contents have.
    let mut reader = reader.take(length.saturating_add(1));
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(&error))?;
    if bytes.len() as u64 != length || crc32fast::hash(&bytes) != checksum {
        return Err(damaged(&"its checksum differs"));
    }
    let name = format!("the array `{}`", wanted.name);
    parse_whole_npy(&name, bytes).map(Some)
}

/// Returns a reader of the contents of a member whose raw bytes are read.
fn decompressed<'a, R: Read>(member: ZipFile<'a, R>) -> Result<Box<dyn Read + 'a>, String> {
    if member.encrypted() {
        return Err("it is encrypted".into());
    }
    match member.compression() {
        CompressionMethod::STORE => Ok(Box::new(member)),
        CompressionMethod::DEFLATE => Ok(Box::new(DeflateDecoder::new(member))),
        other => Err(format!("its compression {other} is not known")),
    }
}

/// The names of the arrays, and their numbers of axes as far as their headers can be read.
fn arrays(archive: &mut Archive<'_>, names: &[String]) -> Vec<FoundArray> {
    let mut found = Vec::new();
    for name in names.iter().take(MAXIMUM_SUGGESTED) {
        let axes = archive.index_for_name(name).and_then(|index| {
            let member = archive.by_index_raw(index).ok()?;
            let mut start = Vec::new();
            let reader = decompressed(member).ok()?;
            reader.take(4096).read_to_end(&mut start).ok()?;
            super::npy::axes(&start)
        });
        let name = name.strip_suffix(MEMBER).unwrap_or(name);
        found.push(FoundArray {
            name: shorten(name).into_owned(),
            axes: axes.unwrap_or(0),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::super::tests::npy;

    /// A zip archive, its members deflated if `deflate`.
    fn archive(members: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, contents) in members {
            let data = match deflate {
                false => contents.to_vec(),
                true => {
                    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                    encoder.write_all(contents).unwrap();
                    encoder.finish().unwrap()
                }
            };
            let mut fields = vec![20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0x21, 0];
            fields.extend(crc32fast::hash(contents).to_le_bytes());
            fields.extend((data.len() as u32).to_le_bytes());
            fields.extend((contents.len() as u32).to_le_bytes());
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend([0, 0]);
            let offset = file.len() as u32;
            file.extend(MAGIC);
            file.extend(&fields);
            file.extend(name.as_bytes());
            file.extend(data);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(fields);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = file.len() as u32;
        let count = (members.len() as u16).to_le_bytes();
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend([count, count].concat());
        file.extend((directory.len() as u32).to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0, 0]);
        file
    }

    fn embeddings() -> Vec<u8> {
        let values = [1.5f32, -2.0, 0.25, 8.0].map(f32::to_le_bytes).concat();
        npy("<f4", "(2, 2)", &values)
    }

    #[test]
    fn stored_and_deflated_arrays_are_read() {
        let labels = npy("|u1", "(2,)", &[7, 9]);
        let members = [
            ("embeddings.npy", &embeddings()[..]),
            ("labels.npy", &labels),
        ];
        for deflate in [false, true] {
            let file = archive(&members, deflate);
            let (embeddings, labels) = parse_npz(&file, true).unwrap();
            assert_eq!(embeddings.matrix().unwrap().rows, [1.5, -2.0, 0.25, 8.0]);
            assert_eq!(labels.unwrap().labels().unwrap().numbers, [7, 9]);
        }
    }

    #[test]
    fn missing_arrays_are_named_with_the_nearest() {
        let (matrix, labels) = (embeddings(), npy("|u1", "(2,)", &[7, 9]));
        // As numpy.savez(file, embeddings, labels) names them.
        let file = archive(&[("arr_0.npy", &matrix), ("arr_1.npy", &labels)], true);
        let message = parse_npz(&file, true).unwrap_err();
        assert_eq!(
            message,
            "it has no array `embeddings`; rename its array `arr_0` to it"
        );
        let file = archive(&[("embeddings.npy", &matrix), ("arr_1.npy", &labels)], true);
        let message = parse_npz(&file, true).unwrap().1.unwrap_err();
        assert_eq!(
            message,
            "it has no array `labels`; rename its array `arr_1` to it"
        );
    }

    #[test]
    fn damaged_archives_and_those_of_torch_are_refused() {
        let matrix = embeddings();
        let file = archive(&[("embeddings.npy", &matrix)], false);
        for length in 0..file.len() {
            parse_npz(&file[..length], true).unwrap_err();
        }
        let mut changed = file;
        let value = changed
            .windows(4)
            .position(|bytes| bytes == 1.5f32.to_le_bytes())
            .unwrap();
        changed[value] ^= 1;
        let message = parse_npz(&changed, true).unwrap_err();
        assert!(message.contains("`embeddings` is damaged"), "{message}");
        let torch = archive(&[("model/data.pkl", b"")], false);
        assert!(parse_npz(&torch, true).unwrap_err().contains("torch.save"));
    }

    #[test]
    fn array_that_states_a_huge_length_is_refused() {
        let matrix = embeddings();
        let mut file = archive(&[("embeddings.npy", &matrix)], true);
        let length = (matrix.len() as u32).to_le_bytes();
        let positions: Vec<usize> = (0..file.len() - 4)
            .filter(|&at| file[at..at + 4] == length)
            .collect();
        for at in positions {
            file[at..at + 4].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
        }
        let message = parse_npz(&file, true).unwrap_err();
        assert!(
            message.contains("larger than 1 GiB when it is decompressed"),
            "{message}"
        );
    }
}
