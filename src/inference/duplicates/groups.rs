//! Groups of near duplicates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::AllImages;
use crate::evaluation::Neighbour;

/// Images each of which is a near duplicate of another one of the group.
#[derive(Debug, Clone, PartialEq)]
pub struct DuplicateGroup {
    /// How the images are related.
    pub relation: Relation,
    /// The images, at least two, ascending.
    pub images: Vec<usize>,
    /// The distance of its two nearest images.
    pub distance: f64,
}

/// The relation of near duplicates, the most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// They are in several splits: a network is trained on images by which it is evaluated.
    AcrossSplits,
    /// They are of several classes, one of which must be wrong.
    AcrossClasses,
    /// They are of the same class, or not all classes are known.
    WithinClass,
}

/// Returns the groups that neighbours at most `threshold` apart form.
pub(super) fn groups(
    images: &AllImages,
    neighbours: &[Vec<Neighbour>],
    threshold: f64,
) -> Vec<DuplicateGroup> {
    let mut sets = DisjointSets::new(neighbours.len());
    let links = || {
        let found = neighbours.iter().enumerate();
        let found = found.flat_map(|(image, found)| found.iter().map(move |near| (image, near)));
        found.filter(|(_, near)| near.distance <= threshold)
    };
    for (image, near) in links() {
        sets.join(image, near.row);
    }
    let mut groups: BTreeMap<usize, (BTreeSet<usize>, f64)> = BTreeMap::new();
    for (image, near) in links() {
        let root = sets.root(image);
        let (members, distance) = groups
            .entry(root)
            .or_insert((BTreeSet::new(), f64::INFINITY));
        members.extend([image, near.row]);
        *distance = distance.min(near.distance);
    }
    let group = |(members, distance): (BTreeSet<usize>, f64)| {
        let members: Vec<usize> = members.into_iter().collect();
        DuplicateGroup {
            relation: relation(images, &members),
            images: members,
            distance,
        }
    };
    let mut groups: Vec<DuplicateGroup> = groups.into_values().map(group).collect();
    groups.sort_by(|a, b| {
        let by_distance = || a.distance.total_cmp(&b.distance);
        a.relation.cmp(&b.relation).then_with(by_distance)
    });
    groups
}

fn relation(images: &AllImages, members: &[usize]) -> Relation {
    let splits: BTreeSet<&str> = members.iter().map(|&image| images.split(image)).collect();
    let classes = members.iter().filter_map(|&image| images.class(image));
    let classes: BTreeSet<_> = classes.collect();
    if splits.len() > 1 {
        Relation::AcrossSplits
    } else if classes.len() > 1 {
        Relation::AcrossClasses
    } else {
        Relation::WithinClass
    }
}

/// Sets of numbers without common elements.
struct DisjointSets {
    parents: Vec<usize>,
}

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    /// Returns the number that represents the set of `x`.
    fn root(&mut self, mut x: usize) -> usize {
        while self.parents[x] != x {
            self.parents[x] = self.parents[self.parents[x]];
            x = self.parents[x];
        }
        x
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}
