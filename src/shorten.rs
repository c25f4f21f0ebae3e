//! Texts of files in messages: a message quotes the start of a long one.

use std::borrow::Cow;

/// The most characters of a text that a message quotes.
const MAXIMUM: usize = 200;

/// Returns the text, or the first 200 characters and the number of bytes of a longer one.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAXIMUM) {
        None => Cow::Borrowed(text),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_and_short_ones_kept() {
        let text = "é".repeat(MAXIMUM);
        assert_eq!(shorten(&text), text);
        assert_eq!(shorten(&format!("{text}é")), format!("{text}… (402 bytes)"));
    }
}
