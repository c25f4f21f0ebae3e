//! Prefixes under which a weights file has the names of a network.

use std::collections::{BTreeSet, HashMap};

use super::contents::Contents;
use super::names::is_step_count;
use super::naming::NamingScheme;

/// The wanted names in a naming scheme.
pub(super) struct Layout {
    pub(super) scheme: NamingScheme,
    /// In the order of the wanted names.
    pub(super) names: Vec<String>,
}

impl Layout {
    /// The wanted names in every scheme that has the network.
    pub(super) fn all(wanted: &[String]) -> Vec<Self> {
        let layout = |scheme: NamingScheme| {
            let names = wanted.iter().map(|name| scheme.name(name));
            Some(Self {
                scheme,
                names: names.collect::<Option<_>>()?,
            })
        };
        NamingScheme::ALL.into_iter().filter_map(layout).collect()
    }

    pub(super) fn names_with(&self, prefix: &str) -> Vec<String> {
        let names = self.names.iter();
        names.map(|name| format!("{prefix}{name}")).collect()
    }

    /// Tensors under `prefix` in the same modules as the network's that are not the network's: those of a
    /// larger network.
    pub(super) fn unknown(&self, contents: &Contents, prefix: &str) -> Vec<String> {
        let known: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let module = |name: &str| name.split('.').next().unwrap_or_default().to_string();
        let modules: BTreeSet<String> = known.iter().map(|name| module(name)).collect();
        let under = tensors_under(contents, prefix);
        under
            .filter(|name| !known.contains(name) && modules.contains(&module(name)))
            .map(|name| format!("{prefix}{name}"))
            .collect()
    }
}

/// The names after `prefix` of the file's tensors that have it, without counts of training steps.
pub(super) fn tensors_under<'a>(
    contents: &'a Contents,
    prefix: &'a str,
) -> impl Iterator<Item = &'a str> {
    let tensors = contents.iter().filter(|(_, entry)| entry.is_any_tensor());
    let names = tensors.filter_map(move |(name, _)| name.strip_prefix(prefix));
    names.filter(|name| !is_step_count(name))
}

/// A prefix under which a file has names of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    /// The index of the layout.
    pub(super) layout: usize,
    pub(super) prefix: &'a str,
    /// How many of the wanted names it has.
    pub(super) found: usize,
}

/// Every prefix under which the file has at least one of the wanted names.
pub(super) fn candidates<'a>(
    names: impl Iterator<Item = &'a String>,
    layouts: &[Layout],
) -> Vec<Candidate<'a>> {
    let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, layout) in layouts.iter().enumerate() {
        for name in &layout.names {
            ends.entry(name).or_default().push(index);
        }
    }
    let dots = |name: &&str| name.matches('.').count();
    let most_dots = ends.keys().map(dots).max().unwrap_or_default();
    let mut counts: HashMap<(usize, &str), usize> = HashMap::new();
    for name in names {
        let after_dots = name.rmatch_indices('.').map(|(dot, _)| dot + 1);
        for start in after_dots.take(most_dots + 1).chain([0]) {
            for &layout in ends.get(&name[start..]).into_iter().flatten() {
                *counts.entry((layout, &name[..start])).or_default() += 1;
            }
        }
    }
    let candidate = |((layout, prefix), found)| Candidate {
        layout,
        prefix,
        found,
    };
    counts.into_iter().map(candidate).collect()
}

/// The prefixes under which the file has all of the wanted names, the shortest first.
pub(super) fn complete<'a>(
    names: impl Iterator<Item = &'a String>,
    layouts: &[Layout],
) -> Vec<Candidate<'a>> {
    let mut complete = candidates(names, layouts);
    complete.retain(|candidate| candidate.found == layouts[candidate.layout].names.len());
    complete.sort_by_key(|candidate| (candidate.prefix.len(), candidate.prefix));
    complete
}

/// Whether two candidates are the same numbers in the file.
pub(super) fn are_tied(
    contents: &Contents,
    layouts: &[Layout],
    candidates: [&Candidate; 2],
) -> bool {
    let [a, b] = candidates;
    let storage = |name: String| contents.get(&name)?.tensor()?.storage.as_ref();
    let names = layouts[a.layout].names.iter().zip(&layouts[b.layout].names);
    names.into_iter().all(|(first, second)| {
        let first = storage(format!("{}{first}", a.prefix));
        first.is_some() && first == storage(format!("{}{second}", b.prefix))
    })
}
