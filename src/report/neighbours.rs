//! The nearest images of queries: of the best and the worst, and of those that are taken for another class.

use std::cmp::Ordering;
use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::evaluated_split::{EmbeddedRows, MeasuredQuery};
use crate::cancellation::Cancelled;
use crate::evaluation::squared_distance;
use crate::progress::{Monitor, Unit};

/// Neighbours that are shown of a query.
pub(super) const NEIGHBOURS: usize = 7;
/// The most queries of one class among the best, and among the worst.
const OF_ONE_CLASS: usize = 2;
/// The most wrong queries whose nearest neighbour is searched, since each is compared with the whole gallery.
const WRONG_QUERIES: usize = 2_000;
/// Confusions that are shown.
const CONFUSIONS: usize = 20;

/// An image near a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    /// Its row.
    pub row: usize,
    /// Its Euclidean distance to the query.
    pub distance: f64,
    /// Whether it has the query's class.
    pub right: bool,
}

/// A query with its nearest images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryNeighbours {
    /// The query.
    pub query: MeasuredQuery,
    /// Its neighbours, nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// A class whose images are taken for another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Confusion {
    /// The class of the queries.
    pub class: usize,
    /// The class of their nearest neighbours.
    pub taken_for: usize,
    /// How many queries.
    pub queries: usize,
    /// The row of one of the queries.
    pub example: usize,
    /// The row of its nearest neighbour.
    pub neighbour: usize,
}

/// The confusions of nearest neighbours.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Confusions {
    /// The most frequent ones.
    pub pairs: Vec<Confusion>,
    /// How many pairs of classes are confused.
    pub different: usize,
    /// The wrong queries that were searched.
    pub searched: usize,
    /// The queries whose nearest neighbour has another class.
    pub wrong: usize,
}

/// Returns the `count` best and worst queries by average precision, at most two of a class. Among equal ones, the
/// best have the most positives, and the worst the farthest nearest positive. No query is among both.
pub(super) fn extremes(
    rows: &EmbeddedRows,
    queries: &[MeasuredQuery],
    [best, worst]: [usize; 2],
) -> [Vec<MeasuredQuery>; 2] {
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for &label in &rows.labels {
        *sizes.entry(label).or_default() += 1;
    }
    let size = |query: &MeasuredQuery| sizes[&rows.labels[query.row]];
    let mut order: Vec<MeasuredQuery> = queries.to_vec();
    order.sort_by(|a, b| {
        let (x, y) = (&a.measures, &b.measures);
        (x.average_precision.total_cmp(&y.average_precision))
            .then(y.nearest.cmp(&x.nearest))
            .then(size(a).cmp(&size(b)))
            .then(a.row.cmp(&b.row))
    });
    let half = order.len() / 2;
    let worst = different_classes(rows, order[..half].iter(), worst);
    let best = different_classes(rows, order[half..].iter().rev(), best);
    [best, worst]
}

fn different_classes<'a>(
    rows: &EmbeddedRows,
    queries: impl Iterator<Item = &'a MeasuredQuery>,
    count: usize,
) -> Vec<MeasuredQuery> {
    let mut of_class: HashMap<usize, usize> = HashMap::new();
    let chosen = queries.filter(|query| {
        let of_class = of_class.entry(rows.labels[query.row]).or_default();
        *of_class += 1;
        *of_class <= OF_ONE_CLASS
    });
    chosen.take(count).copied().collect()
}

/// Finds the neighbours of `queries`.
///
/// # Errors
/// If a stop was requested.
pub(super) fn with_neighbours(
    rows: &EmbeddedRows,
    queries: &[MeasuredQuery],
    monitor: Monitor<'_>,
) -> Result<Vec<QueryNeighbours>, Cancelled> {
    let found = |query: &MeasuredQuery| {
        monitor.check()?;
        Ok(QueryNeighbours {
            query: *query,
            neighbours: nearest(rows, query.row, NEIGHBOURS),
        })
    };
    queries.par_iter().map(found).collect()
}

/// Counts which classes the nearest neighbours of wrong queries have. Of more than 2,000 wrong queries, so many are
/// drawn by `seed`.
///
/// # Errors
/// If a stop was requested.
pub(super) fn confusions(
    rows: &EmbeddedRows,
    queries: &[MeasuredQuery],
    seed: u64,
    monitor: Monitor<'_>,
) -> Result<Confusions, Cancelled> {
    let wrong = queries.iter().filter(|query| query.measures.nearest > 1);
    let wrong: Vec<usize> = wrong.map(|query| query.row).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = sample(&mut random, wrong.len(), wrong.len().min(WRONG_QUERIES)).into_vec();
    drawn.sort_unstable();
    let task = monitor.task("finding neighbours", Some(drawn.len()), Unit::Queries);
    let pair = |&i: &usize| {
        task.advance(1)?;
        Ok((wrong[i], nearest(rows, wrong[i], 1).first().copied()))
    };
    let pairs: Vec<(usize, Option<Neighbour>)> =
        drawn.par_iter().map(pair).collect::<Result<_, _>>()?;
    task.finish();
    let mut counted: HashMap<(usize, usize), Confusion> = HashMap::new();
    for (query, neighbour) in pairs {
        let Some(neighbour) = neighbour else { continue };
        let (class, taken_for) = (rows.labels[query], rows.labels[neighbour.row]);
        let confusion = counted.entry((class, taken_for)).or_insert(Confusion {
            class,
            taken_for,
            queries: 0,
            example: query,
            neighbour: neighbour.row,
        });
        confusion.queries += 1;
    }
    let different = counted.len();
    let mut pairs: Vec<Confusion> = counted.into_values().collect();
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.queries), pair.class, pair.taken_for));
    pairs.truncate(CONFUSIONS);
    Ok(Confusions {
        pairs,
        different,
        searched: drawn.len(),
        wrong: wrong.len(),
    })
}

/// Returns the `count` nearest gallery images of a query, itself excluded, by distances in `f64`. Of equally near
/// ones, those of other classes are first, as in the ranks.
fn nearest(rows: &EmbeddedRows, query: usize, count: usize) -> Vec<Neighbour> {
    let (own, label) = (rows.row(query), rows.labels[query]);
    let others = (0..rows.len()).filter(|&row| row != query && rows.role(row).is_in_gallery());
    let mut found: Vec<Neighbour> = others
        .map(|row| Neighbour {
            row,
            distance: squared_distance(own, rows.row(row)),
            right: rows.labels[row] == label,
        })
        .collect();
    let order = |a: &Neighbour, b: &Neighbour| -> Ordering {
        (a.distance.total_cmp(&b.distance))
            .then(a.right.cmp(&b.right))
            .then(a.row.cmp(&b.row))
    };
    if found.len() > count {
        found.select_nth_unstable_by(count, order);
        found.truncate(count);
    }
    found.sort_by(order);
    for neighbour in &mut found {
        neighbour.distance = neighbour.distance.sqrt();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::evaluated_split::measured_queries;
    use super::*;
    use crate::evaluation::Role;

    type B = burn_flex::Flex;

    fn line(numbers: &[f32], labels: &[usize]) -> EmbeddedRows {
        EmbeddedRows {
            values: numbers.to_vec(),
            dim: 1,
            labels: labels.to_vec(),
            indices: (0..labels.len()).collect(),
            roles: None,
        }
    }

    fn queries(rows: &EmbeddedRows) -> Vec<MeasuredQuery> {
        measured_queries::<B>(rows, &Default::default(), Monitor::none()).unwrap()
    }

    #[test]
    fn neighbours_are_sorted_and_ties_count_against_the_query() {
        let rows = line(&[0.0, 1.0, -1.0, 3.0, 2.5], &[0, 0, 1, 1, 0]);
        let found = nearest(&rows, 0, 3);
        let found: Vec<(usize, bool)> = found.iter().map(|n| (n.row, n.right)).collect();
        assert_eq!(found, [(2, false), (1, true), (4, true)]);
        assert_eq!(nearest(&rows, 0, 10).len(), 4);
        assert_eq!(nearest(&rows, 3, 1)[0].distance, 0.5);
    }

    #[test]
    fn queries_that_are_not_in_the_gallery_are_no_neighbours() {
        let mut rows = line(&[0.0, 0.1, 5.0], &[0, 1, 0]);
        rows.roles = Some(vec![Role::Query, Role::Query, Role::Gallery]);
        let found = nearest(&rows, 0, 3);
        assert_eq!(found.iter().map(|n| n.row).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn confusions_are_counted_by_pairs_of_classes_and_agree_with_the_ranks() {
        // Both images of class 0 are nearest to one of class 1, and that of class 1 at 0.4 to one of class 0.
        let rows = line(&[0.0, 1.0, 0.4, 0.9, 9.0, 9.1], &[0, 0, 1, 1, 2, 2]);
        let queries = queries(&rows);
        let confused = confusions(&rows, &queries, 1, Monitor::none()).unwrap();
        let pairs = confused.pairs.iter();
        let pairs: Vec<_> = pairs.map(|p| (p.class, p.taken_for, p.queries)).collect();
        assert_eq!(pairs, [(0, 1, 2), (1, 0, 2)]);
        assert_eq!(
            (confused.wrong, confused.searched, confused.different),
            (4, 4, 2)
        );
    }

    #[test]
    fn best_and_worst_are_different_queries_and_at_most_two_of_a_class() {
        let numbers: Vec<f32> = (0..20).map(|i| (i * 7 % 20) as f32).collect();
        let labels: Vec<usize> = (0..20).map(|i| i / 10).collect();
        let rows = line(&numbers, &labels);
        let [best, worst] = extremes(&rows, &queries(&rows), [6, 6]);
        assert_eq!((best.len(), worst.len()), (4, 4));
        for query in &best {
            assert!(worst.iter().all(|other| other.row != query.row));
            let ap = query.measures.average_precision;
            assert!(
                worst
                    .iter()
                    .all(|other| other.measures.average_precision <= ap)
            );
        }
        assert_eq!(extremes(&rows, &[], [6, 6]), [vec![], vec![]]);
    }
}
