//! Rules for the source text: imports go one way, and the language is plain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate from the bottom to the top, in layers. A module imports from its own layer
/// and the layers before it. Within a layer there are no circles.
const LAYERS: [&[&str]; 13] = [
    // Support.
    &[
        "atomic_file",
        "bounded_read",
        "cancellation",
        "distribution",
        "escape",
        "file_identity",
        "file_lock",
        "hex",
        "free_space",
        "panic_capture",
        "process_memory",
        "progress",
        "queued_read",
        "safetensors_start",
        "setting",
        "shorten",
        "temporary_files",
    ],
    &["geometry", "kernels"],
    &["negatives"],
    &["loss", "evaluation"],
    &["embedding_file"],
    &["data", "model"],
    &["config"],
    &["backend"],
    &["training"],
    &["inference"],
    &["sweep"],
    &["bench", "report"],
    &["cli", "fuzzing"],
];

/// Words and phrases of a private idiom, and what to write instead. `X` stands for any word.
const PHRASES: [(&str, &str); 20] = [
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("told", "reported"),
    ("stands", "is"),
    ("anew", "again"),
    ("goes on", "continues"),
    ("go on", "continue"),
    ("going on", "continuing"),
    ("gone on", "continued"),
    ("what becomes of", "how … is treated"),
    ("is none", "is `None`, or there is no …"),
    ("no X that", "a sentence without the negation"),
    ("carried out", "applied"),
    ("of its own", "separate"),
    ("carried by", "applied by"),
    ("lies", "is"),
    ("whoever", "the name of who does it"),
    ("comes of", "results from"),
    ("nonsense", "invalid values"),
];

/// Folders and files whose language is checked.
const TEXTS: [&str; 9] = [
    "src",
    "tests",
    "benches",
    "examples",
    "docs",
    "configs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// This file quotes the phrases.
const THIS_FILE: &str = "tests/source_rules.rs";

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect();
    found.sort();
    found
}

fn source_files() -> Vec<PathBuf> {
    let mut sources = files(Path::new("src"));
    sources.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    assert!(sources.len() > 100, "tests run in the package's root");
    sources
}

/// The module path of a source file, such as `["data", "loader", "epochs"]`.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The code of a file without comments, strings' escapes aside, and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether a file has nothing but tests.
fn is_test(module: &[String]) -> bool {
    module.iter().any(|part| {
        part == "tests" || part.ends_with("_tests") || part == "oracle" || part == "golden"
    }) || module.last().is_some_and(|last| last == "combinations")
}

/// Every path that follows `crate::` in `code`, as lists of names; braces are expanded.
fn crate_paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        expand(&code[at + "crate::".len()..], &[], &mut paths);
    }
    paths
}

/// Adds the paths at the start of `rest` below `prefix` to `paths`; returns what follows them.
fn expand<'a>(rest: &'a str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let rest = rest.trim_start();
    if let Some(mut rest) = rest.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
            if let Some(after) = rest.trim_start().strip_prefix('}') {
                return after;
            }
        }
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let mut path = prefix.to_vec();
    path.push(rest[..end].to_string());
    match rest[end..].strip_prefix("::") {
        Some(more) if !more.starts_with('<') => expand(more, &path, paths),
        _ => {
            paths.push(path);
            &rest[end..]
        }
    }
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("src/{module} has no layer: add it to LAYERS"))
}

#[test]
fn braces_of_imports_are_expanded() {
    let paths = crate_paths("use crate::a::{self, b::C, d::{E, f}};\nlet x = crate::g::h(1);");
    let joined: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(joined, ["a::self", "a::b::C", "a::d::E", "a::d::f", "g::h"]);
}

#[test]
fn imports_go_one_way() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in source_files() {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module[0].as_str()) || is_test(&module) {
            continue;
        }
        for import in crate_paths(&code(&path)) {
            let (from, to) = (&module[0], &import[0]);
            if from == to {
                continue;
            }
            if layer(to) > layer(from) {
                wrong.push(format!("{}: crate::{}", path.display(), import.join("::")));
            }
            edges.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the order of LAYERS (docs: CONTRIBUTING.md):\n{}",
        wrong.join("\n")
    );
    let circles: Vec<String> = edges
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| edges.get(*to).is_some_and(|back| back.contains(*from)))
        .map(|(from, to)| format!("{from} ↔ {to}"))
        .collect();
    assert!(circles.is_empty(), "modules import each other: {circles:?}");
}

/// The module that a file imports by `crate::…` or `super::…`, as the longest path that is a file or a
/// folder of the crate.
fn imported_modules(
    module: &[String],
    code: &str,
    known: &BTreeSet<Vec<String>>,
) -> BTreeSet<Vec<String>> {
    let mut paths = crate_paths(code);
    for (at, _) in code.match_indices("super::") {
        // `super::super::x` is found twice; the first time from its start.
        if code[..at].ends_with("super::") {
            continue;
        }
        let mut up = 0;
        let mut rest = &code[at..];
        while let Some(more) = rest.strip_prefix("super::") {
            up += 1;
            rest = more;
        }
        let Some(depth) = module.len().checked_sub(up) else {
            continue;
        };
        expand(rest, &module[..depth], &mut paths);
    }
    let longest = |mut path: Vec<String>| {
        while !path.is_empty() && !known.contains(&path) {
            path.pop();
        }
        path
    };
    let imported = paths.into_iter().map(longest);
    imported
        .filter(|path| !path.is_empty() && path != module)
        .collect()
}

/// Pairs of files in one folder that import each other. A parent module that re-exports its children
/// is no circle.
#[test]
fn files_of_a_folder_do_not_import_each_other() {
    let sources: Vec<(PathBuf, Vec<String>)> = source_files()
        .into_iter()
        .map(|path| (path.clone(), module_of(&path)))
        .filter(|(_, module)| !is_test(module))
        .collect();
    let known: BTreeSet<Vec<String>> = sources.iter().map(|(_, module)| module.clone()).collect();
    // What each module of a folder imports from its siblings, its children included.
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (path, module) in &sources {
        for import in imported_modules(module, &code(path), &known) {
            let shared = module
                .iter()
                .zip(&import)
                .take_while(|(own, other)| own == other)
                .count();
            // Siblings, or descendants of siblings, in the folder where the paths part.
            if let (Some(_), Some(_)) = (module.get(shared), import.get(shared)) {
                let from = module[..=shared].to_vec();
                edges
                    .entry(from)
                    .or_default()
                    .insert(import[..=shared].to_vec());
            }
        }
    }
    let circles: Vec<String> = edges
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from < to && edges.get(*to).is_some_and(|back| back.contains(*from)))
        .map(|(from, to)| format!("{} ↔ {}", from.join("/"), to.join("/")))
        .collect();
    assert!(
        circles.is_empty(),
        "files import each other:\n{}",
        circles.join("\n")
    );
}

/// Where `phrase` occurs in `words`, as indices. `X` is any word.
fn occurrences(words: &[String], phrase: &str) -> Vec<usize> {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words
        .windows(phrase.len())
        .enumerate()
        .filter(|(_, window)| {
            let mut pairs = window.iter().zip(&phrase);
            pairs.all(|(word, wanted)| *wanted == "X" || word == wanted)
        })
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn language_is_plain() {
    let mut found = Vec::new();
    for path in TEXTS.iter().flat_map(|text| files(Path::new(text))) {
        let Ok(text) = fs::read_to_string(&path) else {
            // Pictures and binary files.
            continue;
        };
        if path == Path::new(THIS_FILE) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words: Vec<String> = line
                .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '`')
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect();
            for (phrase, instead) in PHRASES {
                if !occurrences(&words, phrase).is_empty() {
                    found.push(format!(
                        "{}:{}: \"{phrase}\" (write: {instead})",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "private idiom:\n{}", found.join("\n"));
}
