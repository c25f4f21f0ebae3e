//! Tables of dotted keys.

use std::collections::BTreeMap;

use toml::de::DeTable;
use toml::{Table, Value};

/// The values of a table and of the tables in it by dotted key: `"loss.name" = 1`, `loss.name = 1` and `name = 1`
/// below `[loss]` are the same.
pub(super) fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                let inner = flatten(inner).into_iter();
                flat.extend(inner.map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            value => flat.push((key.clone(), value.clone())),
        }
    }
    flat
}

/// Where the dotted keys are in a TOML text. A parsed table does not keep their order.
pub(super) fn key_positions(text: &str) -> BTreeMap<String, usize> {
    let mut positions = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        add_positions(table.get_ref(), "", &mut positions);
    }
    positions
}

fn add_positions(table: &DeTable<'_>, prefix: &str, positions: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = format!("{prefix}{}", key.get_ref());
        positions.insert(path.clone(), key.span().start);
        if let Some(inner) = value.get_ref().as_table() {
            add_positions(inner, &format!("{path}."), positions);
        }
    }
}
