//! The lines of the keys of a configuration file.

use toml::de::DeTable;

/// Returns the sections and the dotted keys of a TOML text with their lines, from 1.
pub(super) fn key_lines(text: &str) -> Vec<(String, usize)> {
    let Ok(table) = DeTable::parse(text) else {
        return Vec::new();
    };
    let line = |start: usize| {
        1 + text
            .get(..start)
            .map_or(0, |before| before.matches('\n').count())
    };
    let mut lines = Vec::new();
    for (section, value) in table.get_ref() {
        let name = section.get_ref();
        lines.push((name.to_string(), line(section.span().start)));
        let keys = value.get_ref().as_table();
        for key in keys.into_iter().flat_map(DeTable::keys) {
            lines.push((format!("{name}.{}", key.get_ref()), line(key.span().start)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_keys_have_the_lines_on_which_they_are_written() {
        let text =
            "# é\n[data]\nroot = \"a\"\n\nresize = 3\n[loss]\r\nname = \"x\"\ntraining = 1\n";
        let mut lines = key_lines(text);
        lines.sort_by_key(|(_, line)| *line);
        let lines: Vec<(&str, usize)> = lines.iter().map(|(key, line)| (&**key, *line)).collect();
        let expected = [
            ("data", 2),
            ("data.root", 3),
            ("data.resize", 5),
            ("loss", 6),
            ("loss.name", 7),
            ("loss.training", 8),
        ];
        assert_eq!(lines, expected);
        assert_eq!(
            key_lines("training.epochs = 3\n"),
            [("training".into(), 1), ("training.epochs".into(), 1)]
        );
        assert_eq!(key_lines("not toml"), []);
    }
}
