//! The names of run folders, and commands as a shell reads them.

use std::collections::HashMap;

use toml::Value;

use super::axis::Axis;
use crate::setting::shown;

/// The most characters of the name of a run folder.
const MAXIMUM: usize = 100;
/// Names of other files and folders in the output folder.
pub(super) const RESERVED: [&str; 2] = ["lock", "logs"];

/// The names of the run folders, one for each run: the values of its axes. A name that is long, reserved, or that two
/// runs would have, ends with a hash of the values.
pub(super) fn run_names(axes: &[Axis], runs: &[Vec<usize>]) -> Vec<String> {
    let short = |choices: &Vec<usize>| {
        let parts = axes.iter().zip(choices);
        let parts = parts.map(|(axis, choice)| part(&axis.name, &axis.values[*choice].value));
        parts.collect::<Vec<_>>().join("_")
    };
    let names: Vec<String> = runs.iter().map(short).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for name in &names {
        // Some file systems do not distinguish upper and lower case.
        *counts.entry(name.to_lowercase()).or_default() += 1;
    }
    let unique = |(name, choices): (String, &Vec<usize>)| {
        let is_free = counts[&name.to_lowercase()] == 1 && !RESERVED.contains(&&*name);
        if is_free && name.len() <= MAXIMUM {
            return name;
        }
        let values = axes.iter().zip(choices);
        let whole: Vec<String> = values
            .map(|(axis, choice)| format!("{}={}", axis.name, axis.values[*choice].value))
            .collect();
        let hash = crc32fast::hash(whole.join("\n").as_bytes());
        format!("{}-{hash:08x}", &name[..name.len().min(MAXIMUM)])
    };
    names.into_iter().zip(runs).map(unique).collect()
}

/// The part of a name for a value: a text, or another value after the last part of its key.
fn part(axis: &str, value: &Value) -> String {
    let last = axis.rsplit('.').next().unwrap_or(axis);
    let text = match value {
        Value::String(text) => allowed(text),
        // Dashes are signs.
        Value::Integer(_) | Value::Float(_) => {
            return allowed(&format!("{last}-{}", shown(value)));
        }
        value => allowed(&format!("{last}-{}", shown(value))),
    };
    // A name that begins with a point is hidden, and one that begins with a dash looks like an option.
    let mut short = text.trim_matches(['-', '.']).to_string();
    while short.contains("--") {
        short = short.replace("--", "-");
    }
    match short.is_empty() {
        true => "value".to_string(),
        false => short,
    }
}

/// The text with dashes for characters that a name of a folder should not have.
fn allowed(text: &str) -> String {
    let allowed = |c: char| match c.is_ascii_alphanumeric() || ".+-".contains(c) {
        true => c,
        false => '-',
    };
    text.chars().map(allowed).collect()
}

/// An override of the form `key=value`, without quotes if the value does not need them.
pub(super) fn override_text(key: &str, value: &Value) -> String {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && !["true", "false", "inf", "nan"].contains(&text)
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    match value {
        Value::String(text) if plain(text) => format!("{key}={text}"),
        value => format!("{key}={}", shown(value)),
    }
}

/// A command with the arguments that a shell splits it into.
pub fn shell_command(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|text| shell_quoted(text)).collect();
    quoted.join(" ")
}

fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::axis::AxisValue;
    use super::*;
    use crate::config::Config;

    fn axis(name: &str, values: &[Value]) -> Axis {
        let value = |value: &Value| AxisValue {
            value: value.clone(),
            settings: vec![(name.to_string(), value.clone())],
        };
        Axis {
            name: name.to_string(),
            values: values.iter().map(value).collect(),
        }
    }

    #[test]
    fn names_are_the_values() {
        let axes = [
            axis("loss.name", &["n-pair".into()]),
            axis("loss.margin", &[1e-5.into(), (-0.1).into()]),
            axis("data.root", &["../a b/c.npy".into()]),
            axis("optimizer.decay_epochs", &[vec![10, 20].into()]),
        ];
        let names = run_names(&axes, &[vec![0, 0, 0, 0], vec![0, 1, 0, 0]]);
        assert_eq!(
            names,
            [
                "n-pair_margin-1e-5_a-b-c.npy_decay-epochs-10-20",
                "n-pair_margin--0.1_a-b-c.npy_decay-epochs-10-20"
            ]
        );
    }

    #[test]
    fn names_are_different_short_and_not_reserved() {
        let values = ["a b", "a-b", "A_B", "logs", "ok"].map(Value::from);
        let long = Value::from("x".repeat(300));
        let axes = [axis("data.root", &[&values[..], &[long]].concat())];
        let runs: Vec<Vec<usize>> = (0..6).map(|value| vec![value]).collect();
        let names = run_names(&axes, &runs);
        let mut different: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 6, "{names:?}");
        assert!(names[0].starts_with("a-b-") && names[1].starts_with("a-b-"));
        assert!(names[3].starts_with("logs-"));
        assert_eq!(names[4], "ok");
        assert_eq!(names[5].len(), 109);
    }

    #[test]
    fn overrides_are_read_as_the_values() {
        for (key, value, text) in [
            ("loss.name", "n-pair".into(), "loss.name=n-pair"),
            ("training.seed", 3.into(), "training.seed=3"),
            (
                "optimizer.learning_rate",
                1e-5.into(),
                "optimizer.learning_rate=1e-5",
            ),
            (
                "optimizer.decay_epochs",
                vec![1, 2].into(),
                "optimizer.decay_epochs=[1, 2]",
            ),
        ] {
            assert_eq!(override_text(key, &value), text);
            Config::parse("", "test", &[text.to_string()]).unwrap();
        }
        for root in ["2024", "a b", "true", "it's \"here\"", "photos/x"] {
            let text = override_text("data.root", &root.into());
            let sets = ["data.dataset=folder".to_string(), text];
            let config = Config::parse("", "test", &sets).unwrap();
            let paths = config
                .data
                .source
                .root()
                .map(|root| root.display().to_string());
            assert_eq!(paths, Some(root.into()));
        }
    }

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        let arguments = ["train", "--set", "a.b=[1, 2]", "it's", ""].map(String::from);
        assert_eq!(
            shell_command(&arguments),
            r#"train --set 'a.b=[1, 2]' 'it'\''s' ''"#
        );
    }
}
