//! Parts of names that PyTorch's wrappers of modules add.

use std::collections::BTreeMap;

use super::contents::Contents;

/// Parts of names that `torch.compile`, `FullyShardedDataParallel`, checkpointing of activations, and
/// `DataParallel` add.
const WRAPPERS: [&str; 4] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "module",
];

/// The names in the file by their plain names. Of names with the same plain name, the one with the fewest
/// removed characters is renamed.
pub(super) fn unwrapped_names(contents: &Contents) -> BTreeMap<String, String> {
    let names = contents.keys().map(|name| (without_wrappers(name), name));
    let mut names: Vec<(String, &String)> = names.collect();
    names.sort_by_key(|(plain, name)| name.len() - plain.len());
    let mut unwrapped = BTreeMap::new();
    for (plain, name) in names {
        let taken = unwrapped.contains_key(&plain);
        unwrapped.insert(if taken { name.clone() } else { plain }, name.clone());
    }
    unwrapped
}

/// The name without the parts that wrappers of inner modules add. Wrappers of everything in the file are at
/// its start; they are a prefix.
fn without_wrappers(name: &str) -> String {
    let mut at_start = true;
    let parts = name.split('.').filter(|part| {
        let wrapper = WRAPPERS.contains(part);
        at_start &= wrapper;
        at_start || !wrapper
    });
    parts.collect::<Vec<_>>().join(".")
}
