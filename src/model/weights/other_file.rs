//! Files that are not weights, recognised by their first bytes.

use std::fmt;

/// What a file is that was given in place of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherFile {
    /// A folder.
    Folder,
    /// A device, pipe or socket.
    Device,
    /// No bytes.
    Empty,
    /// A web page.
    Html,
    /// An XML document.
    Xml,
    /// A JSON document.
    Json,
    /// The index of weights that are divided into several files.
    ShardIndex,
    /// The file that Git has in place of a large file.
    LfsPointer,
    /// A compressed file, and the program that decompresses it.
    Compressed(&'static str),
    /// An archive, and the program that extracts it.
    Archive(&'static str),
    /// A checkpoint in the folder of a run of this program, whose tensors have other names and another order.
    RunCheckpoint,
    /// Another format for weights or arrays, with its name.
    Format(&'static str),
    /// Plain text.
    Text,
    /// Anything else.
    Unknown,
}

impl fmt::Display for OtherFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "download or copy it again";
        const SAVE: &str = "save the network with torch.save(model.state_dict(), \"weights.pth\")";
        match self {
            Self::Folder => f.write_str("is a folder; name the weights file in it"),
            Self::Device => f.write_str(
                "is not a file but a device or a pipe; write the weights to a file, and name it",
            ),
            Self::Empty => write!(f, "is empty; {AGAIN}"),
            Self::Html => f.write_str(
                "is a web page, not weights; download the file itself (it may need a login, or on \
                 Hugging Face and GitHub the address with /resolve/ or /raw/ instead of /blob/)",
            ),
            Self::Xml => write!(
                f,
                "is an XML document, such as the error of a file server, not weights; check the \
                 address, and {AGAIN}"
            ),
            Self::Json => write!(
                f,
                "is a JSON document, such as the error of a server or the configuration beside the \
                 weights, not weights; check the address, and {AGAIN}"
            ),
            Self::ShardIndex => write!(
                f,
                "is the index of weights in several files, not weights; {SAVE} in one file"
            ),
            Self::LfsPointer => f.write_str(
                "is a Git LFS pointer, not the weights; fetch them with `git lfs pull` in its \
                 repository",
            ),
            Self::Compressed(program) => {
                write!(f, "is compressed; decompress it with `{program}`")
            }
            Self::Archive(program) => write!(
                f,
                "is an archive; extract it with `{program}`, and use the weights file in it"
            ),
            Self::RunCheckpoint => f.write_str(
                "is a checkpoint of a run; export the run with `loop-dml export RUN --output \
                 weights.safetensors`, and use that file",
            ),
            Self::Format(format) => write!(f, "is {format}; load it in Python, and {SAVE}"),
            Self::Text => write!(f, "is text, not weights; {AGAIN}"),
            Self::Unknown => write!(
                f,
                "is not a weights file of PyTorch (.pth, .pt, .ckpt, .bin) or safetensors, whose \
                 formats are known by their content; {AGAIN}, or {SAVE}"
            ),
        }
    }
}

/// The first bytes of formats. A tar archive has its mark at [`TAR`].
const STARTS: [(&[u8], OtherFile); 11] = [
    (b"\x1f\x8b", OtherFile::Compressed("gunzip")),
    (b"BZh", OtherFile::Compressed("bunzip2")),
    (b"\xfd7zXZ\0", OtherFile::Compressed("unxz")),
    (b"\x28\xb5\x2f\xfd", OtherFile::Compressed("unzstd")),
    (b"7z\xbc\xaf\x27\x1c", OtherFile::Archive("7z x")),
    (b"Rar!\x1a\x07", OtherFile::Archive("unrar x")),
    (b"PK\x05\x06", OtherFile::Empty),
    (
        b"\x89HDF\r\n\x1a\n",
        OtherFile::Format("an HDF5 file, as Keras writes"),
    ),
    (b"\x93NUMPY", OtherFile::Format("a NumPy array")),
    (b"GGUF", OtherFile::Format("a GGUF file")),
    (b"version https://git-lfs", OtherFile::LfsPointer),
];

/// The place and the text of the mark of a tar archive.
const TAR: (usize, &[u8]) = (257, b"ustar");

impl OtherFile {
    /// What the file that starts with these bytes is, if it is not weights.
    pub(super) fn recognise(start: &[u8]) -> Self {
        if start.is_empty() {
            return Self::Empty;
        }
        if let Some((_, file)) = STARTS.iter().find(|(mark, _)| start.starts_with(mark)) {
            return *file;
        }
        let (place, mark) = TAR;
        if start.get(place..place + mark.len()) == Some(mark) {
            return Self::Archive("tar -xf");
        }
        Self::recognise_text(start)
    }

    fn recognise_text(start: &[u8]) -> Self {
        // The last character may be cut.
        let text = String::from_utf8_lossy(start).to_lowercase();
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let is_text = |c: char| !c.is_control() || c.is_whitespace();
        match text.chars().next() {
            None => Self::Empty,
            _ if !text.chars().all(is_text) => Self::Unknown,
            Some('<')
                if ["<html", "<!doctype html", "<head", "<body", "<script"]
                    .iter()
                    .any(|tag| text.contains(tag)) =>
            {
                Self::Html
            }
            Some('<') => Self::Xml,
            Some('{') if text.contains("\"weight_map\"") => Self::ShardIndex,
            Some('{' | '[') => Self::Json,
            Some(_) => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_their_first_bytes() {
        let tar = [&[0; 257][..], b"ustar\x0000"].concat();
        for (start, expected) in [
            (&b""[..], OtherFile::Empty),
            (b"\r\n", OtherFile::Empty),
            (b"<!DOCTYPE html>\n<html lang=\"en\">", OtherFile::Html),
            (b"\xef\xbb\xbf\n <!-- login --><HTML>", OtherFile::Html),
            (b"<?xml version=\"1.0\"?><html>", OtherFile::Html),
            (
                b"<?xml version=\"1.0\"?><Error><Code>AccessDenied",
                OtherFile::Xml,
            ),
            (b"{\"error\": \"Entry not found\"}", OtherFile::Json),
            (b" [1, 2]", OtherFile::Json),
            (
                b"{\"metadata\": {}, \"weight_map\": {\"fc",
                OtherFile::ShardIndex,
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:",
                OtherFile::LfsPointer,
            ),
            (b"\x1f\x8b\x08\0", OtherFile::Compressed("gunzip")),
            (b"\x28\xb5\x2f\xfd\0", OtherFile::Compressed("unzstd")),
            (&tar, OtherFile::Archive("tar -xf")),
            (b"PK\x05\x06\0\0", OtherFile::Empty),
            (
                b"\x89HDF\r\n\x1a\n",
                OtherFile::Format("an HDF5 file, as Keras writes"),
            ),
            (b"404: Not Found", OtherFile::Text),
            ("größe".as_bytes(), OtherFile::Text),
            (b"\x89PNG\r\n\x1a\n", OtherFile::Unknown),
            (b"\0\0\0\0", OtherFile::Unknown),
        ] {
            let found = OtherFile::recognise(start);
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(start));
        }
    }
}
