//! Retrieval measures from the ranks of the positives.

use super::recall::Recall;

/// The measures of a query with R positives, at the ranks r₁ < r₂ < … < r_R. Shares are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryMeasures {
    /// The rank of the nearest positive, from 1.
    pub nearest: usize,
    /// R-precision: the share of positives among the R nearest neighbours.
    pub r_precision: f64,
    /// The average of the precision at the positives among the R nearest neighbours, with 0 for the others
    /// (MAP@R of Musgrave et al., "A Metric Learning Reality Check", ECCV 2020, section 3.3).
    pub map_at_r: f64,
    /// The average of the precision at every positive: 1/R Σ j/r_j.
    pub average_precision: f64,
}

impl QueryMeasures {
    /// Computes the measures from the ranks of the positives, ascending, at least one.
    pub(super) fn from_ranks(ranks: &[usize]) -> Self {
        let count = ranks.len();
        let precision = |(j, &rank): (usize, &usize)| (j + 1) as f64 / rank as f64;
        let found = ranks.partition_point(|&rank| rank <= count);
        let average = |ranks: &[usize]| sum(ranks.iter().enumerate().map(precision)) / count as f64;
        Self {
            nearest: ranks[0],
            r_precision: found as f64 / count as f64,
            map_at_r: average(&ranks[..found]),
            average_precision: average(ranks),
        }
    }
}

/// Retrieval measures of a split: means over its queries, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalMeasures {
    /// Recall@K, and the number of queries.
    pub recall: Recall,
    /// MAP@R.
    pub map_at_r: f64,
    /// R-precision.
    pub r_precision: f64,
    /// Mean average precision.
    pub map: f64,
}

impl RetrievalMeasures {
    /// Averages the measures of the queries that have a positive, with Recall@K for each K of `ks`; 0
    /// without such a query.
    pub fn from_queries(queries: &[Option<QueryMeasures>], ks: &[usize]) -> Self {
        let counted: Vec<QueryMeasures> = queries.iter().flatten().copied().collect();
        let mean = |measure: fn(&QueryMeasures) -> f64| {
            sum(counted.iter().map(measure)) / counted.len().max(1) as f64
        };
        let nearest = queries.iter().map(|query| query.map(|query| query.nearest));
        Self {
            recall: Recall::from_ranks(&nearest.collect::<Vec<_>>(), ks),
            map_at_r: mean(|query| query.map_at_r),
            r_precision: mean(|query| query.r_precision),
            map: mean(|query| query.average_precision),
        }
    }
}

/// The sum of numbers, 0 for none, where Rust's `sum` is −0.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_a_query_follow_from_the_ranks_of_its_positives() {
        // Three positives, at ranks 1, 3 and 6. Precision there: 1, 2/3 and 3/6.
        let measures = QueryMeasures::from_ranks(&[1, 3, 6]);
        assert_eq!(measures.nearest, 1);
        assert!((measures.r_precision - 2.0 / 3.0).abs() < 1e-15);
        assert!((measures.map_at_r - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-15);
        assert!((measures.average_precision - (1.0 + 2.0 / 3.0 + 0.5) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_query_that_finds_all_positives_first_has_one_and_one_that_finds_none_has_zero() {
        let first = QueryMeasures::from_ranks(&[1, 2]);
        assert_eq!(
            (first.r_precision, first.map_at_r, first.average_precision),
            (1.0, 1.0, 1.0)
        );
        let none = QueryMeasures::from_ranks(&[3, 4]);
        assert_eq!((none.r_precision, none.map_at_r), (0.0, 0.0));
        assert!(none.map_at_r.is_sign_positive());
        assert!((none.average_precision - (1.0 / 3.0 + 2.0 / 4.0) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn queries_without_positives_are_not_counted() {
        let query = QueryMeasures::from_ranks(&[2]);
        let measures = RetrievalMeasures::from_queries(&[None, Some(query)], &[1, 2]);
        assert_eq!(measures.recall.queries, 1);
        assert_eq!(measures.recall.at, [(1, 0.0), (2, 1.0)].into());
        assert_eq!((measures.map_at_r, measures.map), (0.0, 0.5));
        let empty = RetrievalMeasures::from_queries(&[None], &[1]);
        assert!(empty.map.is_sign_positive());
        assert_eq!(
            (empty.map_at_r, empty.r_precision, empty.map),
            (0.0, 0.0, 0.0)
        );
    }
}
