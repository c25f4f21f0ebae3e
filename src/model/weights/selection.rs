//! Which tensors of a weights file are the backbone's.
//!
//! A file of training has more than the backbone: an optimizer, heads, and copies of the backbone. Names
//! have prefixes, such as `state_dict.module.backbone.`. The backbone's tensors are those under the prefix
//! that has all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::candidates::{Candidate, Layout, are_tied, candidates, complete, tensors_under};
use super::contents::{Contents, Entry};
use super::error::WeightsError;
use super::names::{is_average, is_classifier, is_optimizer};
use super::naming::NamingScheme;
use super::note::WeightsNote;
use super::unsupported::UnsupportedTensor;
use super::wrappers::unwrapped_names;

/// The number of names of tensors that are not used that a note has.
const NAMED: usize = 4;

/// The backbone's tensors in a file.
pub(super) struct Selection {
    /// The name in the file for each name in the original network.
    pub(super) names: BTreeMap<String, String>,
    pub(super) notes: Vec<WeightsNote>,
}

/// Returns the tensors of the file at `path` that are the `wanted` ones of the original network. Removes the
/// parts of names that wrappers add, if more networks are complete without them.
///
/// # Errors
/// If tensors are missing, if the network has others, or if the file has the network several times.
pub(super) fn select(
    path: &Path,
    contents: &mut Contents,
    wanted: &[String],
) -> Result<Selection, WeightsError> {
    let layouts = Layout::all(wanted);
    let unwrapped = unwrapped_names(contents);
    // A network whose names are plain may be only one of several: a moving average, for example.
    let plain = complete(contents.keys(), &layouts).len();
    if complete(unwrapped.keys(), &layouts).len() <= plain {
        return select_plain(path, contents, &layouts, wanted);
    }
    let entry = |(plain, name): (String, String)| Some((plain, contents.remove(&name)?));
    *contents = unwrapped.into_iter().filter_map(entry).collect();
    let mut selection = select_plain(path, contents, &layouts, wanted)?;
    selection.notes.insert(0, WeightsNote::Wrappers);
    Ok(selection)
}

fn select_plain(
    path: &Path,
    contents: &Contents,
    layouts: &[Layout],
    wanted: &[String],
) -> Result<Selection, WeightsError> {
    let complete = complete(contents.keys(), layouts);
    let Choice {
        network: chosen,
        averages,
    } = match choose(contents, layouts, &complete) {
        Ok(Some(choice)) => choice,
        Ok(None) => return Err(incomplete(path, contents, layouts)),
        Err(prefixes) => {
            return Err(WeightsError::Ambiguous {
                path: path.into(),
                key: key_of_one(contents, &prefixes),
                prefixes,
            });
        }
    };
    let layout = &layouts[chosen.layout];
    let unknown = layout.unknown(contents, chosen.prefix);
    if !unknown.is_empty() {
        return Err(WeightsError::Names {
            path: path.into(),
            missing: Vec::new(),
            unknown,
        });
    }
    let names = layout.names_with(chosen.prefix);
    let mut notes = Vec::new();
    if !chosen.prefix.is_empty() {
        notes.push(WeightsNote::Prefix(chosen.prefix.to_string()));
    }
    if layout.scheme != NamingScheme::Original {
        notes.push(WeightsNote::Naming(layout.scheme));
    }
    if !averages.is_empty() {
        notes.push(WeightsNote::Averages(averages));
    }
    notes.extend(unused(contents, &names, chosen.prefix));
    Ok(Selection {
        names: wanted.iter().cloned().zip(names).collect(),
        notes,
    })
}

/// The one of several networks in a file that is used.
struct Choice<'a> {
    network: Candidate<'a>,
    /// The prefixes of its moving averages.
    averages: Vec<String>,
}

/// The one of the complete candidates that is used. The error is the prefixes between which there is no
/// choice.
fn choose<'a>(
    contents: &Contents,
    layouts: &[Layout],
    complete: &[Candidate<'a>],
) -> Result<Option<Choice<'a>>, Vec<String>> {
    /// No training has as many networks; more take time to compare.
    const MOST: usize = 32;

    // One network may have several names.
    let mut different: Vec<Candidate<'a>> = Vec::new();
    for &candidate in &complete[..complete.len().min(MOST)] {
        let tied = |other: &Candidate| are_tied(contents, layouts, [other, &candidate]);
        if !different.iter().any(tied) {
            different.push(candidate);
        }
    }
    let (averages, networks): (Vec<_>, Vec<_>) = different
        .iter()
        .copied()
        .partition(|candidate| is_average(candidate.prefix));
    let prefixes = |candidates: &[Candidate]| {
        let prefixes = candidates.iter().map(|candidate| candidate.prefix);
        prefixes.map(str::to_string).collect::<Vec<_>>()
    };
    match (&networks[..], &averages[..]) {
        ([], []) => Ok(None),
        (&[network], averages) => Ok(Some(Choice {
            network,
            averages: prefixes(averages),
        })),
        ([], &[network]) => Ok(Some(Choice {
            network,
            averages: Vec::new(),
        })),
        _ => Err(prefixes(&different)),
    }
}

/// The first key of a dictionary in the file's outermost one under which exactly one of the `prefixes` is.
fn key_of_one(contents: &Contents, prefixes: &[String]) -> Option<String> {
    let key = |prefix: &str| prefix.split('.').next().unwrap_or_default().to_string();
    let keys: Vec<String> = prefixes.iter().map(|prefix| key(prefix)).collect();
    let is_nested = |prefix: &String| {
        let names = contents.range(prefix.clone()..);
        let mut names = names.take_while(|(name, _)| name.starts_with(prefix));
        names.any(|(_, entry)| entry.tensor().is_some_and(|tensor| tensor.is_nested))
    };
    let mut single = keys.iter().zip(prefixes).filter(|(key, prefix)| {
        let alone = keys.iter().filter(|other| other == key).count() == 1;
        alone && !prefix.is_empty() && is_nested(prefix)
    });
    single.next().map(|(key, _)| key.clone())
}

/// The error of a file that does not have all of the wanted names.
fn incomplete(path: &Path, contents: &Contents, layouts: &[Layout]) -> WeightsError {
    // Most of the names; else the names as they are.
    let best = candidates(contents.keys(), layouts)
        .into_iter()
        .max_by_key(|candidate| {
            let Candidate { found, prefix, .. } = candidate;
            (
                *found,
                !is_average(prefix),
                Reverse((prefix.len(), *prefix)),
            )
        });
    let (layout, prefix) = match best {
        Some(best) if 2 * best.found > layouts[best.layout].names.len() => {
            (&layouts[best.layout], best.prefix)
        }
        _ => {
            if let Some((name, class)) = pickled_network(contents) {
                return WeightsError::Object {
                    path: path.into(),
                    name,
                    class,
                };
            }
            (&layouts[0], "")
        }
    };
    let names = layout.names_with(prefix);
    if let Err(error) = check_supported(path, contents, &names) {
        return error;
    }
    let missing = names.iter().filter(|name| !contents.contains_key(*name));
    let known: BTreeSet<&str> = layout.names.iter().map(String::as_str).collect();
    let unknown = tensors_under(contents, prefix);
    let unknown =
        unknown.filter(|name| !known.contains(name) && !is_classifier(name) && !is_optimizer(name));
    WeightsError::Names {
        path: path.into(),
        missing: missing.cloned().collect(),
        unknown: unknown.map(|name| format!("{prefix}{name}")).collect(),
    }
}

/// Checks that the tensors `names` of the file at `path` are of a kind that is read, as far as it has them.
///
/// # Errors
/// [`WeightsError::Unsupported`].
pub(super) fn check_supported(
    path: &Path,
    contents: &Contents,
    names: &[String],
) -> Result<(), WeightsError> {
    for name in names {
        let kind = match contents.get(name) {
            Some(Entry::Unsupported(kind)) => kind.clone(),
            Some(Entry::Tensor(tensor)) if !tensor.snapshot.dtype.is_float() => {
                UnsupportedTensor::Integers(tensor.snapshot.dtype.name().to_string())
            }
            _ => continue,
        };
        return Err(WeightsError::Unsupported {
            path: path.into(),
            tensor: name.clone(),
            kind,
        });
    }
    Ok(())
}

/// The name and the class of an object in the file that is probably the network.
fn pickled_network(contents: &Contents) -> Option<(String, String)> {
    const NAMES: [&str; 8] = [
        "model",
        "net",
        "network",
        "module",
        "backbone",
        "encoder",
        "ema",
        "state_dict",
    ];
    let object = |name: &&str| match contents.get(*name)? {
        Entry::Unsupported(UnsupportedTensor::Object(class)) => Some(class.to_string()),
        _ => None,
    };
    let name = NAMES.iter().find(|name| object(name).is_some())?;
    Some((name.to_string(), object(name)?))
}

/// The note about tensors that are not among `names`: those whose names have most of `prefix` first.
fn unused(contents: &Contents, names: &[String], prefix: &str) -> Option<WeightsNote> {
    let used: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let unused = tensors_under(contents, "").filter(|name| !used.contains(name));
    let mut unused: Vec<&str> = unused.collect();
    let common = |name: &str| {
        let parts = name.split('.').zip(prefix.split('.'));
        parts.take_while(|(part, other)| part == other).count()
    };
    unused.sort_by_cached_key(|name| Reverse(common(name)));
    (!unused.is_empty()).then(|| WeightsNote::Unused {
        count: unused.len(),
        names: unused
            .iter()
            .take(NAMED)
            .map(|name| name.to_string())
            .collect(),
    })
}
