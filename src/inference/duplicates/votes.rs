//! Images whose neighbours are of another class.

use std::collections::BTreeMap;

use super::AllImages;
use crate::evaluation::Neighbour;
use crate::inference::search::Class;

/// The least margin of an image that is likely mislabelled: votes for another class less those for its own, relative to
/// all votes.
const LEAST_MARGIN: f64 = 0.5;

/// The fewest votes for another class. One neighbour may be near by chance.
const FEWEST_VOTES: usize = 2;

/// An image whose neighbours vote for another class.
#[derive(Debug, Clone, PartialEq)]
pub struct Mislabelled {
    /// The image.
    pub image: usize,
    /// The nearest image of the class with the most votes.
    pub suggested_by: usize,
    /// The number of votes for that class.
    pub votes: usize,
    /// The number of votes for the image's own class.
    pub own_votes: usize,
    /// The neighbours that vote, the nearest first.
    pub neighbours: Vec<Neighbour>,
}

impl Mislabelled {
    /// Returns by how much of all votes the other class leads, 0.5 to 1.
    pub fn margin(&self) -> f64 {
        (self.votes - self.own_votes) as f64 / self.neighbours.len() as f64
    }
}

/// Returns the images for which another class leads by half of the votes, and has at least two; the greatest margin
/// first, of equal ones that with more votes, then that with the nearest neighbour.
pub(super) fn mislabelled(images: &AllImages, neighbours: &[Vec<Neighbour>]) -> Vec<Mislabelled> {
    let mut sizes: BTreeMap<Class<'_>, usize> = BTreeMap::new();
    for class in (0..images.count).filter_map(|image| images.class(image)) {
        *sizes.entry(class).or_default() += 1;
    }
    let voted = |(image, found): (usize, &Vec<Neighbour>)| {
        let own = images.class(image)?;
        let voters = found.iter().filter(|near| images.class(near.row).is_some());
        let voters: Vec<Neighbour> = voters.take(sizes[&own] - 1).copied().collect();
        // Votes for each class, and its nearest image. Of classes with as many votes, the nearest wins.
        let mut votes: BTreeMap<Class<'_>, (usize, usize)> = BTreeMap::new();
        for (rank, near) in voters.iter().enumerate() {
            let class = images.class(near.row)?;
            votes.entry(class).or_insert((0, rank)).0 += 1;
        }
        let own_votes = votes.remove(&own).map_or(0, |(votes, _)| votes);
        let most = votes.into_values();
        let (most, rank) = most.max_by_key(|&(votes, rank)| (votes, std::cmp::Reverse(rank)))?;
        let lead = most.saturating_sub(own_votes) as f64;
        let is_likely = most >= FEWEST_VOTES && lead >= LEAST_MARGIN * voters.len() as f64;
        is_likely.then(|| Mislabelled {
            image,
            suggested_by: voters[rank].row,
            votes: most,
            own_votes,
            neighbours: voters,
        })
    };
    let mut found: Vec<Mislabelled> = neighbours.iter().enumerate().filter_map(voted).collect();
    let nearest = |of: &Mislabelled| of.neighbours[0].distance;
    found.sort_by(|a, b| {
        let by_margin = b.margin().total_cmp(&a.margin());
        by_margin
            .then(b.votes.cmp(&a.votes))
            .then(nearest(a).total_cmp(&nearest(b)))
    });
    found
}
