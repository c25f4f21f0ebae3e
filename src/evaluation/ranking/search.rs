//! Queries and gallery, each sorted by class, so that the images of a class are adjacent.

use std::collections::HashMap;
use std::ops::Range;

use super::super::role::Role;

/// Queries and the gallery in which they are searched. Rows that are not finite are in neither.
pub(super) struct Search {
    /// The queries, sorted by class.
    pub(super) queries: Vec<Query>,
    /// The rows in the gallery, sorted by class.
    pub(super) gallery: Vec<usize>,
    /// Whether queries and gallery are the same rows.
    pub(super) is_symmetric: bool,
    /// The number of all queries, those that are not finite included.
    pub(super) query_count: usize,
}

/// A query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// Its row.
    pub(super) row: usize,
    /// Its number among all queries, in the order of the rows.
    pub(super) number: usize,
    /// The gallery's images of its class, as positions in [`Search::gallery`].
    pub(super) class: Range<usize>,
    /// Its own position in the gallery, if it is there.
    pub(super) itself: Option<usize>,
}

impl Query {
    /// Returns the positions of its positives in the gallery.
    pub(super) fn positives(&self) -> impl Iterator<Item = usize> + '_ {
        self.class.clone().filter(|&at| Some(at) != self.itself)
    }

    /// Returns the number of its positives in the gallery.
    pub(super) fn positive_count(&self) -> usize {
        self.class.len() - usize::from(self.itself.is_some())
    }
}

impl Search {
    /// Sorts the rows for which `is_finite` is true. `None` as `roles` means [`Role::Both`].
    pub(super) fn new(
        labels: &[usize],
        roles: Option<&[Role]>,
        is_finite: impl Fn(usize) -> bool,
    ) -> Self {
        let role = |row: usize| roles.map_or(Role::Both, |roles| roles[row]);
        let numbered = (0..labels.len()).filter(|&row| role(row).is_query());
        let numbered: Vec<usize> = numbered.collect();
        let mut sorted: Vec<usize> = (0..labels.len()).filter(|&row| is_finite(row)).collect();
        sorted.sort_by_key(|&row| labels[row]);

        let in_gallery = |row: &&usize| role(**row).is_in_gallery();
        let gallery: Vec<usize> = sorted.iter().filter(in_gallery).copied().collect();
        let mut classes: HashMap<usize, Range<usize>> = HashMap::new();
        let mut positions = vec![None; labels.len()];
        for (at, &row) in gallery.iter().enumerate() {
            classes.entry(labels[row]).or_insert(at..at).end = at + 1;
            positions[row] = Some(at);
        }
        let mut numbers = vec![0; labels.len()];
        for (number, &row) in numbered.iter().enumerate() {
            numbers[row] = number;
        }
        let queries = sorted.iter().filter(|&&row| role(row).is_query());
        let queries: Vec<Query> = queries
            .map(|&row| Query {
                row,
                number: numbers[row],
                class: classes.get(&labels[row]).cloned().unwrap_or(0..0),
                itself: positions[row],
            })
            .collect();
        Self {
            is_symmetric: sorted.iter().all(|&row| role(row) == Role::Both),
            query_count: numbered.len(),
            queries,
            gallery,
        }
    }
}
