//! Messages name the option that the user wrote, in place of the configuration key that it sets.
//!
//! The library's errors name configuration keys, because a configuration is what it is given. A command whose
//! options set keys lists them here.

/// The options of a command by the keys that they set.
#[derive(Debug, Default)]
pub(super) struct OptionNames(Vec<(&'static str, &'static str)>);

impl OptionNames {
    /// Creates the names from pairs of a key and its option.
    pub(super) fn new(pairs: &[(&'static str, &'static str)]) -> Self {
        Self(pairs.to_vec())
    }

    /// Leaves out the keys that `--set` also sets, because the value at fault may be that one.
    pub(super) fn without_set(mut self, set: &[String]) -> Self {
        let is_set = |key: &str| {
            let keys = set.iter().filter_map(|text| text.split_once('='));
            keys.into_iter().any(|(set, _)| set.trim() == key)
        };
        self.0.retain(|(key, _)| !is_set(key));
        self
    }

    /// Returns a message with the options in place of the keys: `` `data.image_size = 8` `` becomes
    /// `` `--size 8` ``, and `--set data.root=photos` becomes `--root photos`.
    pub(super) fn in_message(&self, message: &str) -> String {
        let mut message = message.to_string();
        for (key, option) in &self.0 {
            message = replaced(&message, key, option);
        }
        message
    }
}

fn replaced(message: &str, key: &str, option: &str) -> String {
    const SET: &str = "--set ";
    let mut text = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(key) {
        let (before, after) = (&rest[..at], &rest[at + key.len()..]);
        text += before;
        if !is_whole(text.chars().next_back(), after) {
            text += key;
            rest = after;
            continue;
        }
        if after.starts_with('=') && text.ends_with(SET) {
            text.truncate(text.len() - SET.len());
            text += option;
            text.push(' ');
            rest = &after[1..];
            continue;
        }
        text += option;
        rest = after;
        if let Some(assigned) = after.strip_prefix(" = ") {
            let quoted = text[..text.len() - option.len()].ends_with('`');
            let (value, following) = match assigned.find('`').filter(|_| quoted) {
                Some(end) => assigned.split_at(end),
                None => ("", assigned),
            };
            let value = without_quotes(value);
            // An empty value is one that was not given.
            if !(quoted && value.is_empty()) {
                text.push(' ');
            }
            text += value;
            rest = following;
        }
    }
    text + rest
}

/// Whether a key between these texts is not a part of a longer name.
fn is_whole(before: Option<char>, after: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    let mut after = after.chars();
    let continues = match after.next() {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        Some(next) => next.is_alphanumeric() || matches!(next, '_' | '-' | '/'),
        None => false,
    };
    !before.is_some_and(in_name) && !continues
}

/// A string of TOML as it is written on the command line, if it needs no quotes there.
fn without_quotes(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let plain =
        |inner: &&str| !inner.contains(|c: char| c.is_whitespace() || "\\\"'$`".contains(c));
    inner.filter(plain).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_options_and_other_names_stay() {
        let names = OptionNames::new(&[
            ("data.image_size", "--size"),
            ("data.root", "--root"),
            ("model.backbone", "--backbone"),
            ("--batch", "--batch"),
        ]);
        for (message, expected) in [
            (
                "`data.image_size = 8`: the backbone googlenet needs images of at least 31 pixels",
                "`--size 8`: the backbone googlenet needs images of at least 31 pixels",
            ),
            (
                "`data.resize = 255`: must be at least data.image_size = 300, since crops are cut from it",
                "`data.resize = 255`: must be at least --size 300, since crops are cut from it",
            ),
            (
                "data.root nowhere is not a folder",
                "--root nowhere is not a folder",
            ),
            ("correct data.root.", "correct --root."),
            (
                "`data.root = \"\"`: give the folder, for example --set data.root=photos",
                "`--root`: give the folder, for example --root photos",
            ),
            (
                "`model.backbone = \"vgg\"`: unknown",
                "`--backbone vgg`: unknown",
            ),
            ("`data.root = \"a b\"`: no", "`--root \"a b\"`: no"),
            (
                "`--batch = 7`: give a multiple of 2",
                "`--batch 7`: give a multiple of 2",
            ),
            // Parts of other names.
            (
                "data.root_folder mydata.root data.root.json",
                "data.root_folder mydata.root data.root.json",
            ),
            ("./data.root", "./data.root"),
        ] {
            assert_eq!(names.in_message(message), expected);
        }
    }

    #[test]
    fn keys_that_are_set_keep_their_names() {
        let names = OptionNames::new(&[("data.image_size", "--size"), ("data.root", "--root")]);
        let names = names.without_set(&["data.image_size = 8".into()]);
        assert_eq!(
            names.in_message("data.image_size, data.root"),
            "data.image_size, --root"
        );
    }
}
