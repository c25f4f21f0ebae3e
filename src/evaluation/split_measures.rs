//! All measures of a split.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, backend::Backend};

use super::clustering::{ClusterAgreement, KMeans};
use super::distance_statistics::DistanceStatistics;
use super::intervals::{Resampling, mean_interval};
use super::measures::{QueryMeasures, RetrievalMeasures};
use super::ranking::measure_queries;
use super::role::Role;
use super::shared_queries::measure_shared_queries;
use crate::cancellation::Cancelled;
use crate::distribution::ProcessGroup;
use crate::progress::Monitor;

/// What is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeasureOptions<'a> {
    /// The K of Recall@K.
    pub recall: &'a [usize],
    /// Whether embeddings are clustered, into as many clusters as there are classes.
    pub clustering: Option<ClusteringOptions>,
    /// Whether distances within and between classes are measured.
    pub distances: bool,
    /// What is drawn for 95 % intervals of the retrieval measures; `None` for no intervals.
    pub intervals: Option<Resampling>,
    /// Processes that share the queries; all of them have all embeddings. `None`: this one.
    pub group: Option<&'a ProcessGroup>,
}

/// How embeddings are clustered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusteringOptions {
    /// The most iterations of k-means.
    pub iterations: usize,
    /// How often it is repeated with other first centres.
    pub restarts: usize,
    /// The seed of the first centres.
    pub seed: u64,
}

impl Default for ClusteringOptions {
    fn default() -> Self {
        Self {
            iterations: 100,
            restarts: 1,
            seed: 0,
        }
    }
}

/// The measures of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitMeasures {
    /// Means over all queries that have a positive.
    pub retrieval: RetrievalMeasures,
    /// The same for the queries of each class, by label. Classes without such a query are left out.
    pub classes: BTreeMap<usize, RetrievalMeasures>,
    /// The measures of each query, in the order of the rows that are queries; `None` without a positive.
    pub queries: Vec<Option<QueryMeasures>>,
    /// Intervals of the means over all queries, if they were asked for.
    pub intervals: Option<RetrievalIntervals>,
    /// Clusters, if they were asked for.
    pub clustering: Option<ClusteringMeasures>,
    /// Distances, if they were asked for.
    pub distances: Option<DistanceStatistics>,
}

/// 95 % intervals of retrieval measures.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalIntervals {
    /// K → interval of Recall@K.
    pub recall: BTreeMap<usize, [f64; 2]>,
    /// Interval of MAP@R.
    pub map_at_r: [f64; 2],
    /// Interval of R-precision.
    pub r_precision: [f64; 2],
    /// Interval of the mean average precision.
    pub map: [f64; 2],
}

/// The agreement of clusters with classes, and how good the clusters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusteringMeasures {
    /// NMI, AMI and F1.
    pub agreement: ClusterAgreement,
    /// The sum of the squared distances of the embeddings to the mean of their cluster.
    pub inertia: f64,
    /// Whether k-means converged.
    pub converged: bool,
}

impl SplitMeasures {
    /// Measures the embeddings of a split, which are finite. Images for which `has_class` is false are neither
    /// clustered nor in the distances.
    ///
    /// # Shapes
    /// - `embeddings`: `[N, D]`, of any length
    /// - `labels`: N class indices
    /// - `roles`: N roles; `None` means [`Role::Both`] for every image
    ///
    /// # Errors
    /// If a stop was requested.
    ///
    /// # Panics
    /// If the number of labels or roles is not N.
    pub fn measure<B: Backend>(
        embeddings: Tensor<B, 2>,
        labels: &[usize],
        roles: Option<&[Role]>,
        has_class: impl Fn(usize) -> bool,
        options: MeasureOptions<'_>,
        monitor: Monitor<'_>,
    ) -> Result<Self, Cancelled> {
        let clustered = options.clustering.map(|_| embeddings.clone());
        let distances = match options.distances {
            true => Some(DistanceStatistics::measure(
                embeddings.clone(),
                labels,
                roles,
                &has_class,
                monitor,
            )?),
            false => None,
        };
        let queries = match options.group.filter(|group| !group.is_single()) {
            Some(group) => measure_shared_queries(embeddings, labels, roles, group, monitor)?,
            None => measure_queries(embeddings, labels, roles, monitor)?,
        };
        let is_query = |row: &usize| roles.is_none_or(|roles| roles[*row].is_query());
        let labels_of_queries = (0..labels.len()).filter(is_query).map(|row| labels[row]);
        let counted: Vec<(usize, QueryMeasures)> = labels_of_queries
            .zip(&queries)
            .filter_map(|(label, query)| Some((label, (*query)?)))
            .collect();
        let clustering = match (options.clustering, clustered) {
            (Some(options), Some(embeddings)) => {
                let rows: Vec<usize> = (0..labels.len()).filter(|&row| has_class(row)).collect();
                Some(cluster(embeddings, labels, &rows, options, monitor)?)
            }
            _ => None,
        };
        let intervals = options
            .intervals
            .and_then(|resampling| intervals(&counted, options.recall, resampling));
        Ok(Self {
            retrieval: RetrievalMeasures::from_queries(&queries, options.recall),
            classes: of_classes(&counted, options.recall),
            queries,
            intervals,
            clustering,
            distances,
        })
    }
}

fn of_classes(
    queries: &[(usize, QueryMeasures)],
    ks: &[usize],
) -> BTreeMap<usize, RetrievalMeasures> {
    let mut classes: BTreeMap<usize, Vec<Option<QueryMeasures>>> = BTreeMap::new();
    for &(label, query) in queries {
        classes.entry(label).or_default().push(Some(query));
    }
    let measures = |queries: Vec<_>| RetrievalMeasures::from_queries(&queries, ks);
    classes
        .into_iter()
        .map(|(label, queries)| (label, measures(queries)))
        .collect()
}

fn intervals(
    queries: &[(usize, QueryMeasures)],
    ks: &[usize],
    resampling: Resampling,
) -> Option<RetrievalIntervals> {
    /// Intervals are estimates; the same embeddings have the same.
    const SEED: u64 = 0;

    let classes: Vec<usize> = queries.iter().map(|(label, _)| *label).collect();
    let interval = |measure: &dyn Fn(&QueryMeasures) -> f64| {
        let values: Vec<f64> = queries.iter().map(|(_, query)| measure(query)).collect();
        mean_interval(&values, &classes, resampling, SEED)
    };
    let recall = |&k: &usize| {
        let found = |query: &QueryMeasures| f64::from(u8::from(query.nearest <= k));
        Some((k, interval(&found)?))
    };
    Some(RetrievalIntervals {
        recall: ks.iter().map(recall).collect::<Option<_>>()?,
        map_at_r: interval(&|query| query.map_at_r)?,
        r_precision: interval(&|query| query.r_precision)?,
        map: interval(&|query| query.average_precision)?,
    })
}

fn cluster<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    rows: &[usize],
    options: ClusteringOptions,
    monitor: Monitor<'_>,
) -> Result<ClusteringMeasures, Cancelled> {
    let classes: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
    let mut different = classes.clone();
    different.sort_unstable();
    different.dedup();
    let embeddings = match rows.len() == labels.len() {
        true => embeddings,
        false => {
            let numbers: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let device = embeddings.device();
            embeddings.select(
                0,
                Tensor::<B, 1, Int>::from_ints(numbers.as_slice(), &device),
            )
        }
    };
    let k_means = KMeans {
        clusters: different.len(),
        iterations: options.iterations,
        restarts: options.restarts,
        seed: options.seed,
    };
    let clustering = k_means.run(embeddings, monitor)?;
    Ok(ClusteringMeasures {
        agreement: ClusterAgreement::new(&classes, &clustering.clusters),
        inertia: clustering.inertia,
        converged: clustering.converged,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    type B = burn_flex::Flex;

    fn measure(numbers: &[f32], labels: &[usize], options: MeasureOptions<'_>) -> SplitMeasures {
        let data = TensorData::new(numbers.to_vec(), [numbers.len(), 1]);
        let embeddings = Tensor::<B, 2>::from_data(data, &Default::default());
        // Rows of class 9 have no class.
        let has_class = |row: usize| labels[row] < 9;
        let monitor = Monitor::none();
        SplitMeasures::measure(embeddings, labels, None, has_class, options, monitor).unwrap()
    }

    #[test]
    fn classes_and_all_queries_are_measured() {
        let options = MeasureOptions {
            recall: &[1, 2],
            ..MeasureOptions::default()
        };
        // The image of class 1 at 0.4 is nearest to both of class 0; the only one of class 2 has no positive.
        let measures = measure(
            &[0.0, 1.0, 0.4, 9.0, 9.1, 50.0],
            &[0, 0, 1, 1, 1, 2],
            options,
        );
        assert_eq!(measures.classes.len(), 2);
        assert_eq!(measures.classes[&0].recall.at, [(1, 0.0), (2, 1.0)].into());
        let of_one = &measures.classes[&1];
        assert_eq!(
            (of_one.recall.queries, of_one.recall.at[&1]),
            (3, 2.0 / 3.0)
        );
        assert_eq!(measures.retrieval.recall.queries, 5);
        assert_eq!(measures.retrieval.recall.at[&1], 2.0 / 5.0);
        assert_eq!((measures.intervals, measures.clustering), (None, None));
    }

    #[test]
    fn clusters_are_as_many_as_classes_and_without_images_of_none() {
        let options = MeasureOptions {
            clustering: Some(ClusteringOptions::default()),
            ..MeasureOptions::default()
        };
        let numbers = [0.0, 0.2, 5.0, 5.2, 900.0, 901.0];
        let clustering = measure(&numbers, &[0, 0, 1, 1, 9, 9], options)
            .clustering
            .unwrap();
        assert_eq!(clustering.agreement.nmi, 1.0);
        assert!(
            (clustering.inertia - 0.04).abs() < 1e-6,
            "{}",
            clustering.inertia
        );
        assert!(clustering.converged);
    }

    #[test]
    fn intervals_contain_the_mean() {
        let options = MeasureOptions {
            recall: &[1],
            intervals: Some(Resampling::Queries),
            ..MeasureOptions::default()
        };
        let number = |i: usize| 0.3 * (i * 37 % 61) as f32 + 6.0 * (i % 5) as f32;
        let numbers: Vec<f32> = (0..60).map(number).collect();
        let labels: Vec<usize> = (0..60).map(|i| i % 5).collect();
        let measures = measure(&numbers, &labels, options);
        let (means, intervals) = (measures.retrieval, measures.intervals.unwrap());
        for (mean, [low, high]) in [
            (means.recall.at_1(), intervals.recall[&1]),
            (means.map_at_r, intervals.map_at_r),
            (means.r_precision, intervals.r_precision),
            (means.map, intervals.map),
        ] {
            assert!(low < mean && mean < high, "{low} < {mean} < {high}");
        }
    }
}
