//! The names of arrays in a file of several, and suggestions for files with other names.

use crate::shorten::shorten;

/// The most names that a message lists.
const SHOWN: usize = 8;

/// An array that a file has, or should have.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedArray {
    /// Its name.
    pub(super) name: &'static str,
    /// Names under which other programs save it.
    others: &'static [&'static str],
    axes: usize,
}

/// The matrix of embeddings.
pub(super) const EMBEDDINGS: WantedArray = WantedArray {
    name: "embeddings",
    others: &[
        "embedding",
        "embeds",
        "embs",
        "emb",
        "features",
        "feature",
        "feats",
        "feat",
        "vectors",
        "vecs",
        "x",
        "data",
        "arr_0",
    ],
    axes: 2,
};

/// The labels of the rows.
pub(super) const LABELS: WantedArray = WantedArray {
    name: "labels",
    others: &[
        "label",
        "targets",
        "target",
        "classes",
        "class",
        "class_ids",
        "class_id",
        "y",
        "ids",
        "arr_1",
    ],
    axes: 1,
};

/// The column of embeddings in a table, which has a list in each row.
pub(super) const EMBEDDING_COLUMN: WantedArray = WantedArray {
    name: "embedding",
    ..EMBEDDINGS
};

/// The column of labels in a table.
pub(super) const LABEL_COLUMN: WantedArray = WantedArray {
    name: "label",
    ..LABELS
};

/// An array of a file.
#[derive(Debug)]
pub(super) struct FoundArray {
    pub(super) name: String,
    /// The number of its axes.
    pub(super) axes: usize,
}

impl WantedArray {
    /// Returns the array that is probably the wanted one under another name: of a usual name, or the only one
    /// with as many axes.
    fn nearest<'a>(&self, found: &'a [FoundArray]) -> Option<&'a FoundArray> {
        let same_axes = || found.iter().filter(|array| array.axes == self.axes);
        let called = |other: &str| same_axes().find(|array| array.name.eq_ignore_ascii_case(other));
        let usual = [&[self.name], self.others]
            .concat()
            .into_iter()
            .find_map(called);
        usual.or_else(|| match same_axes().count() {
            1 => same_axes().next(),
            _ => None,
        })
    }

    /// Returns the reason for which a file with the arrays `found` is refused, which lacks this one.
    pub(super) fn missing(&self, kind: &str, found: &[FoundArray]) -> String {
        let name = self.name;
        match self.nearest(found) {
            Some(nearest) => format!(
                "it has no {kind} `{name}`; rename its {kind} `{}` to it",
                shorten(&nearest.name)
            ),
            None if found.is_empty() => format!("it has no {kind} `{name}`; add it"),
            None => format!(
                "it has no {kind} `{name}` among {}; name the right one so, or add it",
                list(found)
            ),
        }
    }
}

fn list(found: &[FoundArray]) -> String {
    let names = found.iter().take(SHOWN);
    let names = names.map(|array| format!("`{}`", shorten(&array.name)));
    let names = names.collect::<Vec<_>>().join(", ");
    match found.len().saturating_sub(SHOWN) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arrays: &[(&str, usize)]) -> Vec<FoundArray> {
        let found = arrays.iter().map(|&(name, axes)| FoundArray {
            name: name.into(),
            axes,
        });
        found.collect()
    }

    #[test]
    fn usual_names_are_suggested() {
        let missing = |wanted: WantedArray, arrays: &[(&str, usize)]| {
            wanted.missing("tensor", &found(arrays))
        };
        for name in ["Features", "emb", "embedding", "arr_0"] {
            let message = missing(EMBEDDINGS, &[("weights", 2), (name, 2), ("target", 1)]);
            let expected =
                format!("it has no tensor `embeddings`; rename its tensor `{name}` to it");
            assert_eq!(message, expected);
        }
        // The only matrix.
        let message = missing(EMBEDDINGS, &[("out", 2), ("target", 1)]);
        assert!(
            message.ends_with("rename its tensor `out` to it"),
            "{message}"
        );
        let message = missing(LABELS, &[("out", 2), ("y", 1), ("z", 1)]);
        assert!(
            message.ends_with("rename its tensor `y` to it"),
            "{message}"
        );
        let message = missing(LABELS, &[("out", 2), ("a", 1), ("b", 1)]);
        assert_eq!(
            message,
            "it has no tensor `labels` among `out`, `a`, `b`; name the right one so, or add it"
        );
        let many: Vec<(&str, usize)> = vec![("a", 3); 10];
        assert!(missing(LABELS, &many).contains("`a` and 2 more;"));
        assert_eq!(missing(LABELS, &[]), "it has no tensor `labels`; add it");
    }
}
