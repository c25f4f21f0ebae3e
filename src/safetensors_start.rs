//! Safetensors files by their first bytes.

/// The most bytes of a header, the limit of the `safetensors` crate.
pub(crate) const MAXIMUM_HEADER: u64 = 100_000_000;

/// Whether a file that starts with `start` is a safetensors file: the length of its header, then a JSON object.
pub(crate) fn is_safetensors(start: &[u8]) -> bool {
    match start.split_first_chunk() {
        Some((length, header)) => {
            u64::from_le_bytes(*length) <= MAXIMUM_HEADER && header.starts_with(b"{")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_not_mistaken_for_safetensors() {
        assert!(is_safetensors(b"\x02\0\0\0\0\0\0\0{}"));
        for start in [
            &b""[..],
            b"{}",
            &[0; 64],
            b"\x93NUMPY\x01\0{",
            b"PK\x03\x04\x14\0\0\0{",
            b"<!DOCTYPE html>",
        ] {
            assert!(!is_safetensors(start), "{start:?}");
        }
    }
}
