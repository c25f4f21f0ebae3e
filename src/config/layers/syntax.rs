//! Messages about texts that are not TOML, in the words of the configuration.

use toml::{Table, Value};

use crate::config::reference::{ConfigKey, ValueKind};
use crate::config::wrong_value::advice;
use crate::shorten::shorten;

/// The most bytes of a line that is quoted.
const MAXIMUM_LINE_BYTES: usize = 256;
/// The most bytes of the parser's message, which quotes the line.
const MAXIMUM_MESSAGE_BYTES: usize = 2048;

/// Returns the message of a parser's error in `text`: what to write instead if the line is recognisable, else
/// the parser's.
pub(super) fn syntax_message(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    if line.len() <= MAXIMUM_LINE_BYTES
        && let Some(advice) = line_advice(text, number, error)
    {
        return format!("line {number}: {advice}");
    }
    let message = error.to_string();
    if message.len() <= MAXIMUM_MESSAGE_BYTES {
        return message.trim_end().to_string();
    }
    let column = before.rsplit('\n').next().unwrap_or_default();
    format!(
        "TOML parse error at line {number}, column {}: {}",
        column.chars().count() + 1,
        shorten(error.message())
    )
}

/// Returns what to write instead of the line `number`, from 1.
fn line_advice(text: &str, number: usize, error: &toml::de::Error) -> Option<String> {
    let line = text.lines().nth(number - 1)?.trim();
    if line.starts_with('[') && !line.contains('=') {
        let is_open = !without_comment(line).ends_with(']');
        return is_open.then(|| format!("`{line}`: close the section's name with `]`"));
    }
    let Some((key, value)) = line.split_once('=') else {
        let is_word = line
            .chars()
            .all(|c| c.is_alphanumeric() || "_-. :".contains(c));
        return is_word.then(|| format!("`{line}`: write KEY = VALUE, or `#` before a comment"));
    };
    let key = dotted(text, number, key.trim());
    if error.message().starts_with("duplicate key") {
        return Some(format!("`{key}` is given twice; remove one of them"));
    }
    let value = without_comment(value).trim();
    let entry = ConfigKey::find(&key, &Table::new())?;
    let reason = value_advice(&entry.kind, value)?;
    Some(format!("`{key} = {value}`: {reason}"))
}

/// Returns what to write instead of the text `value`, which is not TOML.
fn value_advice(kind: &ValueKind, value: &str) -> Option<String> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let is_open = value.len() == 1 || !value.ends_with(quote);
            return is_open.then(|| format!("close the text with {quote}"));
        }
        Some('[') => return (!value.ends_with(']')).then(|| "close the list with ]".into()),
        Some('{') => return None,
        _ => {}
    }
    let takes_text = matches!(kind, ValueKind::Path | ValueKind::Text(_));
    let is_name = kind.names().iter().any(|known| known.name == value);
    match !value.is_empty() && (takes_text || is_name) {
        true => Some(format!("write it in quotes: {}", Value::from(value))),
        false => Some(advice(kind, &Value::from(value))),
    }
}

/// Returns the dotted name of the key `key` in the line `number`.
fn dotted(text: &str, number: usize, key: &str) -> String {
    let above = text.lines().take(number - 1);
    let headers = above.filter_map(|line| {
        let line = without_comment(line).trim();
        line.strip_prefix('[')?.strip_suffix(']')
    });
    match headers.last() {
        Some(section) => format!("{}.{key}", section.trim()),
        None => key.to_string(),
    }
}

/// Returns a line up to its comment. A `#` in quotes is no comment.
fn without_comment(line: &str) -> &str {
    let mut open = None;
    for (at, character) in line.char_indices() {
        match (open, character) {
            (None, '#') => return line[..at].trim_end(),
            (None, '"' | '\'') => open = Some(character),
            (Some(quote), character) if quote == character => open = None,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        syntax_message(text, &toml::from_str::<Table>(text).unwrap_err())
    }

    #[test]
    fn value_that_is_not_toml_is_named_with_key_line_and_what_to_write() {
        for (section, line, expected) in [
            ("data", "cache = True", "`data.cache = True`: write true"),
            (
                "data",
                "cache = yes # always",
                "`data.cache = yes`: write true",
            ),
            (
                "optimizer",
                "learning_rate = .001",
                "`optimizer.learning_rate = .001`: write 0.001",
            ),
            (
                "optimizer",
                "learning_rate = 0,001",
                "`optimizer.learning_rate = 0,001`: write 0.001",
            ),
            (
                "training",
                "epochs = 1,000",
                "`training.epochs = 1,000`: write 1000",
            ),
            ("training", "epochs = 03", "`training.epochs = 03`: write 3"),
            (
                "training",
                "epochs =",
                "`training.epochs = `: has no value; give a whole number of 1 or more",
            ),
            (
                "training",
                "epochs = many",
                "`training.epochs = many`: give a whole number of 1 or more",
            ),
            (
                "training",
                "seed = 99999999999999999999",
                "`training.seed = 99999999999999999999`: give a whole number from 0 to 9223372036854775807",
            ),
            (
                "data",
                "image_size = 227px",
                "`data.image_size = 227px`: write 227",
            ),
            (
                "evaluation",
                "recall = 1, 2",
                "`evaluation.recall = 1, 2`: write [1, 2]",
            ),
            (
                "evaluation",
                "recall = [1, 2",
                "`evaluation.recall = [1, 2`: close the list with ]",
            ),
            (
                "data",
                "root = ~/photos",
                "`data.root = ~/photos`: write it in quotes: \"~/photos\"",
            ),
            (
                "data",
                "root = \"photos",
                "`data.root = \"photos`: close the text with \"",
            ),
            (
                "loss",
                "name = triplet",
                "`loss.name = triplet`: write it in quotes: \"triplet\"",
            ),
            (
                "model",
                "pooling = gem",
                "`model.pooling = gem`: write it in quotes: \"gem\"",
            ),
            (
                "evaluation",
                "mirror = true\nmirror = false",
                "`evaluation.mirror` is given twice; remove one of them",
            ),
            (
                "training",
                "epochs 3",
                "`epochs 3`: write KEY = VALUE, or `#` before a comment",
            ),
            (
                "training",
                "[data",
                "`[data`: close the section's name with `]`",
            ),
        ] {
            let text = format!("# A # comment\n[{section}] # = 3\n{line}\n");
            let number = 2 + line.lines().count();
            assert_eq!(
                message(&text),
                format!("line {number}: {expected}"),
                "{text}"
            );
        }
    }

    #[test]
    fn misspelt_name_without_quotes_is_suggested() {
        let message = message("[loss]\nname = tripelt\n");
        assert!(
            message.starts_with("line 2: `loss.name = tripelt`: did you mean `triplet`? Give"),
            "{message}"
        );
    }

    #[test]
    fn dotted_keys_at_the_top_are_known() {
        let message = message("training.epochs = 3,0\n");
        assert_eq!(message, "line 1: `training.epochs = 3,0`: write 3");
    }

    #[test]
    fn other_mistakes_have_the_message_of_the_parser() {
        for text in [
            "a = {",
            "[training]\nbogus = True\n",
            "\u{1}",
            "x = \"\\q\"",
        ] {
            assert!(
                message(text).starts_with("TOML parse error at line"),
                "{text}"
            );
        }
    }
}
