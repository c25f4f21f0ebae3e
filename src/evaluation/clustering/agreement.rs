//! The agreement of clusters with classes.

use std::collections::HashMap;

/// How well clusters agree with classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterAgreement {
    /// Normalised mutual information, 0 to 1: the mutual information divided by the mean of both entropies.
    pub nmi: f64,
    /// Adjusted mutual information, at most 1 and 0 in the mean of random clusterings (Vinh et al., JMLR 2010),
    /// normalised as `nmi` is.
    pub ami: f64,
    /// Pairwise F1, 0 to 1: the harmonic mean of precision and recall of "two images are in one cluster" as a
    /// prediction of "they are of one class".
    pub f1: f64,
}

impl ClusterAgreement {
    /// Compares the cluster with the class of each image. Two divisions into one group agree perfectly, as in
    /// scikit-learn; F1 is 0 if no two images are of one class or in one cluster.
    ///
    /// # Panics
    /// If the numbers of classes and clusters differ.
    pub fn new(classes: &[usize], clusters: &[usize]) -> Self {
        assert_eq!(classes.len(), clusters.len(), "one cluster for each image");
        let pairs = classes.iter().copied().zip(clusters.iter().copied());
        let cells = counts(pairs);
        let rows = counts(classes.iter().copied());
        let columns = counts(clusters.iter().copied());
        let sizes = |groups: &HashMap<usize, usize>| {
            let mut sizes: Vec<usize> = groups.values().copied().collect();
            // The order of a hash map is random, and sums would differ in their last digits.
            sizes.sort_unstable();
            sizes
        };
        let (row_sizes, column_sizes) = (sizes(&rows), sizes(&columns));
        let mut cells: Vec<[usize; 3]> = cells
            .into_iter()
            .map(|((class, cluster), count)| [count, rows[&class], columns[&cluster]])
            .collect();
        cells.sort_unstable();

        let total = classes.len();
        let (nmi, ami) = match (row_sizes.len(), column_sizes.len()) {
            (0 | 1, 0 | 1) => (1.0, 1.0),
            _ => {
                let information = mutual_information(&cells, total);
                let entropy = (entropy(&row_sizes, total) + entropy(&column_sizes, total)) / 2.0;
                let expected = expected_information(&row_sizes, &column_sizes, total);
                (
                    (information / entropy).clamp(0.0, 1.0),
                    adjusted(information, expected, entropy),
                )
            }
        };
        let both: f64 = cells.iter().map(|[count, ..]| pairs_of(*count)).sum();
        let all: f64 = [&row_sizes, &column_sizes]
            .into_iter()
            .flatten()
            .map(|&size| pairs_of(size))
            .sum();
        Self {
            nmi,
            ami,
            f1: if all > 0.0 { 2.0 * both / all } else { 0.0 },
        }
    }
}

fn counts<T: std::hash::Hash + Eq>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// The number of pairs of `count` images.
fn pairs_of(count: usize) -> f64 {
    count as f64 * (count as f64 - 1.0) / 2.0
}

fn entropy(sizes: &[usize], total: usize) -> f64 {
    let share = |&size: &usize| size as f64 / total as f64;
    -sizes.iter().map(share).map(|p| p * p.ln()).sum::<f64>()
}

/// The mutual information from the cells of the contingency table: the count, and the sizes of its row and
/// its column.
fn mutual_information(cells: &[[usize; 3]], total: usize) -> f64 {
    let total = total as f64;
    let cell = |&[count, row, column]: &[usize; 3]| {
        let count = count as f64;
        count / total * (total * count / (row as f64 * column as f64)).ln()
    };
    cells.iter().map(cell).sum()
}

/// (I − E) / (H − E). The denominator is kept away from 0.
fn adjusted(information: f64, expected: f64, entropy: f64) -> f64 {
    let range = entropy - expected;
    let range = match range < 0.0 {
        true => range.min(-f64::EPSILON),
        false => range.max(f64::EPSILON),
    };
    (information - expected) / range
}

/// The mean mutual information of random divisions into groups of these sizes, which are sorted
/// (Vinh et al., JMLR 2010, equation 24a). Groups of equal size are computed once.
fn expected_information(rows: &[usize], columns: &[usize], total: usize) -> f64 {
    let log_factorials = log_factorials(total);
    let log_factorial = |n: usize| log_factorials[n];
    let mut sum = 0.0;
    for (row, rows) in runs(rows) {
        for (column, columns) in runs(columns) {
            let fixed = log_factorial(row)
                + log_factorial(column)
                + log_factorial(total - row)
                + log_factorial(total - column)
                - log_factorial(total);
            let first = (row + column).saturating_sub(total).max(1);
            let expected = (first..=row.min(column)).map(|count| {
                let log_probability = fixed
                    - log_factorial(count)
                    - log_factorial(row - count)
                    - log_factorial(column - count)
                    - log_factorial(total + count - row - column);
                let share = count as f64 / total as f64;
                let ratio = total as f64 * count as f64 / (row as f64 * column as f64);
                share * ratio.ln() * log_probability.exp()
            });
            sum += (rows * columns) as f64 * expected.sum::<f64>();
        }
    }
    sum
}

/// The different numbers of a sorted list, and how often each occurs.
fn runs(sorted: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len()))
}

/// ln 0!, ln 1!, … ln n!
fn log_factorials(n: usize) -> Vec<f64> {
    let logs = (1..=n).scan(0.0, |sum, number| {
        *sum += (number as f64).ln();
        Some(*sum)
    });
    std::iter::once(0.0).chain(logs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reproducible list of numbers below `most`.
    fn numbers(count: usize, seed: usize, most: usize) -> Vec<usize> {
        let number = |i: usize| (i * i * 31 + i * 17 + seed * (i / 3 + 7)) % 1009 % most;
        (0..count).map(number).collect()
    }

    fn assert_near(actual: ClusterAgreement, [nmi, ami, f1]: [f64; 3]) {
        for (name, actual, expected) in [
            ("nmi", actual.nmi, nmi),
            ("ami", actual.ami, ami),
            ("f1", actual.f1, f1),
        ] {
            assert!(
                (actual - expected).abs() < 1e-9,
                "{name} {actual} {expected}"
            );
        }
    }

    // Expected values: normalized_mutual_info_score, adjusted_mutual_info_score and pair_confusion_matrix of
    // scikit-learn 1.9.1.
    #[test]
    fn measures_equal_those_of_scikit_learn() {
        let agreement =
            |classes: Vec<usize>, clusters: Vec<usize>| ClusterAgreement::new(&classes, &clusters);
        assert_near(
            agreement(numbers(10, 1, 3), numbers(10, 2, 4)),
            [0.32285346122853564, 0.0709417761464622, 0.2962962962962963],
        );
        assert_near(
            agreement(numbers(500, 3, 7), numbers(500, 5, 11)),
            [
                0.028351889147006357,
                -0.0005631716762483235,
                0.1112135806264303,
            ],
        );
        let moved = |i: usize| (i + usize::from(i.is_multiple_of(5))) / 4 % 90;
        assert_near(
            agreement(
                (0..400).map(|i| i / 4).collect(),
                (0..400).map(moved).collect(),
            ),
            [0.9584729155060628, 0.8695188505704053, 0.7803468208092486],
        );
        assert_near(
            agreement((0..40).collect(), (0..40).map(|i| i / 2).collect()),
            [0.8963070393915362, 0.0, 0.0],
        );
    }

    #[test]
    fn equal_divisions_agree_whatever_the_numbers() {
        let classes = [0, 0, 1, 1, 2];
        assert_near(ClusterAgreement::new(&classes, &[9, 9, 4, 4, 7]), [1.0; 3]);
    }

    #[test]
    fn one_group_says_nothing_about_several_and_everything_about_one() {
        let several = ClusterAgreement::new(&[0, 0, 1, 1], &[0; 4]);
        // Of six pairs in one cluster, two are of one class; both pairs of one class are found.
        assert_near(several, [0.0, 0.0, 0.5]);
        assert_near(ClusterAgreement::new(&[3; 4], &[1; 4]), [1.0; 3]);
        assert_near(ClusterAgreement::new(&[], &[]), [1.0, 1.0, 0.0]);
    }
}
