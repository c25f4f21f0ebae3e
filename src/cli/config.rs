//! `loop-dml config`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use textwrap::{Options, WordSplitter};

use super::CliError;
use super::output::{print_json, print_lines};
use crate::config::Config;
use crate::config::reference::{ConfigKey, ValueKind, json_schema};
use crate::setting::shown;

const EXAMPLES: &str = "\
Without --config and --set, lists the keys that a configuration file and --set take: type and range, default, \
the choices that the key applies to, and meaning. A key that differs between losses or datasets is listed for \
each.

Examples:
  loop-dml config                                   every key
  loop-dml config loss                              the keys of a section
  loop-dml config loss.margin                       one key
  loop-dml config --config configs/folder.toml --set data.image_size=48
                                                    the configuration that `train` would use
  loop-dml config --schema > loop-dml.schema.json   for editors that complete and check TOML";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ConfigArgs {
    /// List this key, or the keys of this section
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Print the configuration in this TOML file, with every key that has a value
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    config: Option<PathBuf>,
    /// Print the configuration with this key set (repeatable) [default file: the quickstart]
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "key")]
    set: Vec<String>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of configuration files
    #[arg(long, conflicts_with_all = ["key", "config", "set", "json"])]
    schema: bool,
}

pub(super) fn run(args: ConfigArgs) -> Result<(), CliError> {
    if args.schema {
        return print_json(format_args!("{:#}", json_schema()));
    }
    if args.config.is_some() || !args.set.is_empty() {
        return print_resolved(&args);
    }
    let keys = match &args.key {
        Some(name) => ConfigKey::matching(name)?,
        None => ConfigKey::all().iter().collect(),
    };
    match args.json {
        true => {
            let keys: Vec<Value> = keys.into_iter().map(object).collect();
            print_json(json!({ "keys": keys }))
        }
        false => print_lines(list(&keys, textwrap::termwidth())),
    }
}

/// Prints the configuration that `train` would use.
fn print_resolved(args: &ConfigArgs) -> Result<(), CliError> {
    let config = match &args.config {
        Some(path) => Config::load(path, &args.set)?,
        None => Config::quickstart(&args.set)?,
    };
    config.check()?;
    let text = config.to_toml();
    match args.json {
        true => {
            let table: toml::Table = toml::from_str(&text).expect("the text is TOML");
            print_json(json!(table))
        }
        false => print_lines(text.trim_end()),
    }
}

/// The widest lines of a list. Longer ones are hard to read.
const MAXIMUM_WIDTH: usize = 100;
/// The narrowest lines, which keep most words whole.
const MINIMUM_WIDTH: usize = 40;

/// Returns the keys as text, by section.
fn list(keys: &[&ConfigKey], terminal_width: usize) -> String {
    let width = terminal_width.clamp(MINIMUM_WIDTH, MAXIMUM_WIDTH);
    let mut parts = Vec::new();
    let mut section = "";
    for key in keys {
        if key.section() != section {
            section = key.section();
            parts.push(format!("[{section}]"));
        }
        parts.push(described(key, width));
    }
    parts.join("\n\n")
}

/// Returns the lines about a key.
fn described(key: &ConfigKey, width: usize) -> String {
    let mut facts = vec![match &key.kind {
        // The names follow with their meaning.
        ValueKind::Name(_) => "one of the names below".to_string(),
        kind => kind.to_string(),
    }];
    facts.push(match &key.default {
        Some(default) => format!("default {}", shown(default)),
        None if key.required => "required".into(),
        None => "absent by default".into(),
    });
    if !key.applies_to.is_empty() {
        facts.push(format!("with {}", choices(&key.applies_to)));
    }
    let header = format!("{}: {}", key.key, facts.join("; "));
    // Names with hyphens, such as `n-pair`, are not divided.
    let options = Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    let header_options = options.clone().subsequent_indent("  ");
    let mut lines = textwrap::wrap(&header, header_options);
    let indented = options
        .clone()
        .initial_indent("    ")
        .subsequent_indent("    ");
    lines.extend(textwrap::wrap(&key.meaning, indented));
    for value in key.kind.names() {
        let first = format!("      {}: ", value.name);
        let indented = options
            .clone()
            .initial_indent(&first)
            .subsequent_indent("          ");
        let wrapped = textwrap::wrap(&value.meaning, indented);
        lines.extend(wrapped.into_iter().map(|line| line.into_owned().into()));
    }
    lines.join("\n")
}

/// Returns choices, naming a key once: `loss.name = "triplet" or "n-pair"`.
fn choices(applies_to: &[String]) -> String {
    let mut text = String::new();
    let mut named = "";
    for choice in applies_to {
        let (key, value) = choice.split_once(" = ").unwrap_or((choice, ""));
        match (text.is_empty(), key == named) {
            (true, _) => text = choice.clone(),
            (false, true) => text += &format!(" or {value}"),
            (false, false) => text += &format!(" or {choice}"),
        }
        named = key;
    }
    text
}

/// Returns a key as an object. Absent facts are `null`.
fn object(key: &ConfigKey) -> Value {
    let names = Some(key.kind.names()).filter(|names| !names.is_empty());
    let length = match &key.kind {
        ValueKind::List { length, .. } => *length,
        _ => None,
    };
    json!({
        "key": key.key,
        "type": key.kind.type_name(),
        "length": length,
        "range": key.kind.range().filter(|range| range.is_limited()),
        "values": names,
        "default": key.default,
        "required": key.required,
        "meaning": key.meaning,
        "applies_to": key.applies_to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_listed_with_its_facts_and_wrapped() {
        let keys = ConfigKey::matching("negatives.points").unwrap();
        assert_eq!(
            list(&keys, 60),
            "[negatives]\n\n\
             negatives.points: a whole number from 1 to 64; default 2;\n  \
               with negatives.name = \"embedding-expansion\"\n    \
                 n, the inner points between two images of a class, 1 to\n    \
                 64."
        );
    }

    #[test]
    fn choices_name_their_key_once() {
        let applies_to = ["a = 1", "a = 2", "b = 1"].map(String::from);
        assert_eq!(choices(&applies_to), "a = 1 or 2 or b = 1");
    }

    #[test]
    fn lines_are_not_wider_than_the_terminal() {
        let keys: Vec<&ConfigKey> = ConfigKey::all().iter().collect();
        for (terminal, width) in [(80, 80), (50, 50), (400, MAXIMUM_WIDTH)] {
            for line in list(&keys, terminal).lines() {
                assert!(line.chars().count() <= width, "{line}");
            }
        }
    }
}
