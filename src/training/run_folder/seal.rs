//! Checksums in the text files of a run, so that an edited or damaged file is not used unnoticed.
//!
//! Files of versions 0.1 and 0.2 have none, and are accepted.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The start of the last line of `config.toml`.
const COMMENT: &str = "# sha256: ";

/// A file's contents differ from its checksum.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChecksumMismatch;

/// Appends the checksum of a TOML text as a comment.
pub(super) fn seal_toml(text: &str) -> String {
    format!("{text}{COMMENT}{}\n", hex(&Sha256::digest(text)))
}

/// Whether the last line of a TOML text is a checksum.
pub(super) fn is_sealed_toml(text: &str) -> bool {
    split_toml(text).is_some()
}

/// Checks a TOML text against the checksum in its last line.
///
/// # Errors
/// If they differ.
pub(super) fn check_toml(text: &str) -> Result<(), ChecksumMismatch> {
    match split_toml(text) {
        Some((body, checksum)) if hex(&Sha256::digest(body)) != checksum => Err(ChecksumMismatch),
        _ => Ok(()),
    }
}

fn split_toml(text: &str) -> Option<(&str, &str)> {
    let start = text.trim_end().rfind('\n').map_or(0, |newline| newline + 1);
    let checksum = text[start..].trim_end().strip_prefix(COMMENT)?;
    Some((&text[..start], checksum))
}

/// Adds the checksum of a JSON object to it under `key`.
pub(super) fn seal_json(mut value: Value, key: &str, checksum: fn(&str) -> String) -> Value {
    let sum = checksum(&value.to_string());
    if let Value::Object(object) = &mut value {
        object.insert(key.to_string(), sum.into());
    }
    value
}

/// Removes the checksum `key` from a JSON object and checks it.
///
/// # Errors
/// If it differs from the object's contents.
pub(super) fn check_json(
    mut value: Value,
    key: &str,
    checksum: fn(&str) -> String,
) -> Result<Value, ChecksumMismatch> {
    let sum = value.as_object_mut().and_then(|object| object.remove(key));
    match sum {
        Some(sum) if sum != checksum(&value.to_string()) => Err(ChecksumMismatch),
        _ => Ok(value),
    }
}

/// SHA-256 of a text.
pub(super) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// CRC-32 of a text.
pub(super) fn crc32(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edited_toml_is_detected() {
        let sealed = seal_toml("[model]\ndim = 64\n");
        assert!(is_sealed_toml(&sealed));
        assert_eq!(check_toml(&sealed), Ok(()));
        assert_eq!(
            check_toml(&sealed.replace("64", "32")),
            Err(ChecksumMismatch)
        );
        assert_eq!(
            check_toml(&sealed.replace("model", "data")),
            Err(ChecksumMismatch)
        );
    }

    #[test]
    fn toml_without_a_checksum_is_accepted() {
        assert_eq!(check_toml("[model]\ndim = 64\n"), Ok(()));
        assert_eq!(check_toml(""), Ok(()));
    }

    #[test]
    fn edited_json_is_detected() {
        let value = json!({"epoch": 3, "recall": {"1": 1.0 / 3.0}, "zeta": [1, 2]});
        for checksum in [sha256, crc32] {
            let sealed = seal_json(value.clone(), "checksum", checksum);
            assert_eq!(
                check_json(sealed.clone(), "checksum", checksum),
                Ok(value.clone())
            );
            let text = sealed.to_string().replace("\"epoch\":3", "\"epoch\":4");
            let edited = serde_json::from_str(&text).unwrap();
            assert_eq!(
                check_json(edited, "checksum", checksum),
                Err(ChecksumMismatch)
            );
        }
        assert_eq!(check_json(value.clone(), "checksum", crc32), Ok(value));
    }
}
