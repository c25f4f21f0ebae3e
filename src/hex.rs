//! Hashes in hexadecimal digits.

/// Returns the lower-case hexadecimal digits of `bytes`, two for each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}
