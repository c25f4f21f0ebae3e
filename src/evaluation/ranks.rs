//! Ranks of the nearest positives, from which retrieval metrics are computed.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::{Int, Tensor, backend::Backend};

use super::role::Role;
use crate::cancellation::Cancelled;
use crate::geometry::products::{Products, SplitRows};
use crate::geometry::widen;
use crate::progress::{Monitor, Unit};

/// Entries of one tile of similarities: 64 MiB in `f64`. A tile has as many rows as fit, so that memory
/// grows with the number of images N, not with N².
const TILE_ENTRIES: usize = 1 << 23;

/// Returns the rank, from 1, of each query's nearest positive among its neighbours in the gallery by
/// Euclidean distance; `None` for a query without another image of its class in the gallery.
///
/// The rank is one plus the number of images of other classes that are at least as near as the nearest
/// positive, which needs no sorting. A query is excluded from its neighbours by its index, so that an
/// identical image is a neighbour. A tie between a positive and an image of another class counts
/// against the query: a network that maps every image to one point has a recall of 0, not 1.
///
/// The computation is in `f64` if the device supports it, otherwise in `f32` from products that resolve
/// the distances of near embeddings.
///
/// # Shapes
/// - `embeddings`: `[N, D]`, of any length
/// - `labels`: N class indices
/// - `roles`: N roles; `None` means [`Role::Both`] for every image
///
/// # Panics
/// If the number of labels or roles is not N.
pub fn nearest_positive_ranks<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
) -> Vec<Option<usize>> {
    let ranks = nearest_positive_ranks_monitored(embeddings, labels, roles, Monitor::none());
    ranks.expect("nothing cancels it")
}

/// Returns the ranks as [`nearest_positive_ranks`] does. Reports the ranked queries as the task
/// `ranking`, and checks after every few million pairs whether it is cancelled.
///
/// # Errors
/// If a stop was requested.
///
/// # Panics
/// If the number of labels or roles is not N.
pub fn nearest_positive_ranks_monitored<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<usize>>, Cancelled> {
    let [n, _] = embeddings.dims();
    assert_eq!(n, labels.len(), "one label for each embedding");
    assert!(roles.is_none_or(|roles| roles.len() == n), "one role each");
    if n == 0 {
        return Ok(Vec::new());
    }
    monitor.check()?;
    let all = Images::new(widen(embeddings), labels);
    let queries = all.select(roles, Role::is_query);
    let gallery = all.select(roles, Role::is_in_gallery);
    if gallery.len() == 0 {
        return Ok(vec![None; queries.len()]);
    }
    let mut positive = with_positive(labels, roles).into_iter();
    let squares_of_gallery = gallery.squares.transposed();
    let [classes, indices] =
        [gallery.classes, gallery.indices].map(|numbers| numbers.unsqueeze_dim::<2>(0));

    let rows = (TILE_ENTRIES / classes.dims()[1]).max(1);
    let task = monitor.task("ranking", Some(queries.len()), Unit::Queries);
    let mut ranks = Vec::with_capacity(queries.len());
    for start in (0..queries.len()).step_by(rows) {
        let end = (start + rows).min(queries.len());
        let tile = queries.rows(start..end);
        let products = tile.embeddings.products(&gallery.embeddings);
        let nearness = products.nearness(&tile.squares, &squares_of_gallery);
        let same_class = tile.classes.unsqueeze_dim::<2>(1).equal(classes.clone());
        let itself = tile.indices.unsqueeze_dim::<2>(1).equal(indices.clone());
        let not_positive = same_class.clone().bool_not().bool_or(itself);

        let nearest_positive = nearness
            .clone()
            .mask_fill(not_positive, f32::NEG_INFINITY)
            .max_dim(1);
        let nearer = nearness
            .mask_fill(same_class, f32::NEG_INFINITY)
            .greater_equal(nearest_positive.clone())
            .int()
            .sum_dim(1);

        let nearest_positive = nearest_positive.into_data().convert::<f64>();
        let nearer = nearer.into_data().convert::<i64>();
        ranks.extend(
            nearest_positive
                .iter::<f64>()
                .zip(nearer.iter::<i64>())
                .map(|(nearest, nearer)| {
                    let positive = positive.next().expect("one for each query");
                    // A query with NaN has no neighbours; GPUs ignore NaN in a maximum.
                    let finite = nearest > f64::from(f32::MIN);
                    (positive && finite).then_some(nearer as usize + 1)
                }),
        );
        task.advance(end - start)?;
    }
    task.finish();
    Ok(ranks)
}

/// Returns whether each query has another image of its class in the gallery. The host counts them,
/// because GPUs return the smallest finite number as the maximum of an empty set.
fn with_positive(labels: &[usize], roles: Option<&[Role]>) -> Vec<bool> {
    let role = |i: usize| roles.map_or(Role::Both, |roles| roles[i]);
    let mut of_class = HashMap::<usize, usize>::new();
    for (i, &label) in labels.iter().enumerate() {
        *of_class.entry(label).or_default() += usize::from(role(i).is_in_gallery());
    }
    let queries = (0..labels.len()).filter(|&i| role(i).is_query());
    queries
        .map(|i| of_class[&labels[i]] > usize::from(role(i).is_in_gallery()))
        .collect()
}

/// Embeddings with their classes and indices.
struct Images<B: Backend> {
    /// `[N, D]`
    embeddings: SplitRows<B>,
    /// Squared lengths, `[N, 1]`.
    squares: Products<B>,
    /// `[N]`
    classes: Tensor<B, 1, Int>,
    /// `[N]`
    indices: Tensor<B, 1, Int>,
}

impl<B: Backend> Images<B> {
    fn new(embeddings: Tensor<B, 2>, labels: &[usize]) -> Self {
        let device = embeddings.device();
        let embeddings = SplitRows::from_rows(embeddings);
        Self {
            squares: embeddings.squares(),
            classes: int_tensor(labels, &device),
            indices: Tensor::arange(0..labels.len() as i64, &device),
            embeddings,
        }
    }

    fn len(&self) -> usize {
        self.indices.dims()[0]
    }

    /// Selects the images whose role satisfies `wanted`.
    fn select(&self, roles: Option<&[Role]>, wanted: fn(Role) -> bool) -> Self {
        let Some(roles) = roles.filter(|roles| !roles.iter().all(|&role| wanted(role))) else {
            return Self {
                embeddings: self.embeddings.clone(),
                squares: self.squares.clone(),
                classes: self.classes.clone(),
                indices: self.indices.clone(),
            };
        };
        let selected = (0..roles.len()).filter(|&i| wanted(roles[i]));
        let selected = selected.collect::<Vec<_>>();
        let selected = int_tensor::<B>(&selected, &self.indices.device());
        let rows = |x: Tensor<B, 2>| x.select(0, selected.clone());
        Self {
            embeddings: self.embeddings.map(rows),
            squares: self.squares.map(rows),
            classes: self.classes.clone().select(0, selected.clone()),
            indices: self.indices.clone().select(0, selected.clone()),
        }
    }

    fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            embeddings: self.embeddings.map(|x| x.slice([rows.clone()])),
            squares: self.squares.map(|x| x.slice([rows.clone()])),
            classes: self.classes.clone().slice([rows.clone()]),
            indices: self.indices.clone().slice([rows]),
        }
    }
}

fn int_tensor<B: Backend>(numbers: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let numbers: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
    Tensor::from_ints(numbers.as_slice(), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use proptest::prelude::*;

    use super::super::recall::Recall;
    use super::*;
    use crate::cancellation::CancellationToken;
    use crate::progress::test_observer::RecordingObserver;

    type B = burn_flex::Flex;

    fn ranks(rows: &[Vec<f32>], labels: &[usize]) -> Vec<Option<usize>> {
        ranks_by_role(rows, labels, None)
    }

    fn ranks_by_role(
        rows: &[Vec<f32>],
        labels: &[usize],
        roles: Option<&[Role]>,
    ) -> Vec<Option<usize>> {
        let d = rows.first().map_or(1, Vec::len);
        let data = TensorData::new(rows.concat(), [rows.len(), d]);
        let embeddings = Tensor::<B, 2>::from_data(data, &Default::default());
        nearest_positive_ranks(embeddings, labels, roles)
    }

    /// Sorts all neighbours in `f64` and finds the first positive; images of other classes win ties.
    fn oracle(rows: &[Vec<f32>], labels: &[usize], roles: &[Role]) -> Vec<Option<usize>> {
        let distance = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
                .sum()
        };
        (0..rows.len())
            .filter(|&query| roles[query].is_query())
            .map(|query| {
                let mut others: Vec<usize> = (0..rows.len())
                    .filter(|&i| i != query && roles[i].is_in_gallery())
                    .collect();
                others.sort_by(|&a, &b| {
                    distance(&rows[query], &rows[a])
                        .total_cmp(&distance(&rows[query], &rows[b]))
                        .then((labels[a] == labels[query]).cmp(&(labels[b] == labels[query])))
                });
                others
                    .iter()
                    .position(|&i| labels[i] == labels[query])
                    .map(|position| position + 1)
            })
            .collect()
    }

    #[test]
    fn identical_images_are_neighbours_of_each_other_but_not_of_themselves() {
        let rows = vec![
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![0.0, 1.0],
            vec![0.0, 1.0],
        ];
        assert_eq!(ranks(&rows, &[0, 0, 1, 1]), [Some(1); 4]);
        // The identical image is of the other class and ranks before the positive.
        let rows = vec![
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![0.0, 1.0],
            vec![0.0, 2.0],
        ];
        assert_eq!(ranks(&rows, &[0, 1, 0, 1])[0], Some(2));
    }

    #[test]
    fn queries_are_counted_and_cancellation_ends_the_ranking() {
        // 5,000 images are two tiles.
        let embeddings = || Tensor::<B, 2>::ones([5_000, 1], &Default::default());
        let labels = vec![0; 5_000];
        let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
        let monitored = |observer| {
            let monitor = Monitor::new(&token, observer);
            nearest_positive_ranks_monitored(embeddings(), &labels, None, monitor)
        };
        assert_eq!(monitored(&observer).unwrap(), vec![Some(1); 5_000]);
        assert_eq!(observer.task("ranking"), Some((5_000, Some(5_000), true)));

        let observer = RecordingObserver::cancelling("ranking", &token);
        assert_eq!(monitored(&observer), Err(Cancelled));
        let (done, _, finished) = observer.task("ranking").unwrap();
        assert!(done < 5_000 && !finished, "{done} queries");
        // A cancelled token prevents all work.
        let observer = RecordingObserver::default();
        assert_eq!(monitored(&observer), Err(Cancelled));
        assert_eq!(observer.task("ranking"), None);
    }

    #[test]
    fn collapsed_network_has_recall_zero() {
        let rows = vec![vec![0.6, 0.8]; 6];
        let ranks = ranks(&rows, &[0, 0, 1, 1, 2, 2]);
        assert_eq!(ranks, [Some(5); 6]);
        assert_eq!(Recall::from_ranks(&ranks, &[1, 4]).at[&4], 0.0);
    }

    #[test]
    fn image_alone_in_its_class_is_not_counted() {
        let rows = vec![vec![1.0, 0.0], vec![0.9, 0.1], vec![0.0, 1.0]];
        let ranks = ranks(&rows, &[0, 0, 1]);
        assert_eq!(ranks, [Some(1), Some(1), None]);
        let recall = Recall::from_ranks(&ranks, &[1, 2]);
        assert_eq!(recall.queries, 2);
        assert_eq!(recall.at_1(), 1.0);
    }

    #[test]
    fn empty_split_and_single_image_have_recall_zero() {
        assert!(ranks(&[], &[]).is_empty());
        assert_eq!(ranks(&[vec![1.0]], &[0]), [None]);
        assert_eq!(Recall::from_ranks(&[None], &[1]).at_1(), 0.0);
    }

    #[test]
    fn near_embeddings_keep_their_order_on_devices_without_f64() {
        use crate::geometry::simulated_device::{WITHOUT_F64, on};
        use crate::geometry::test_batches::near;

        // All within 0.05 of one point: in plain `f32` their distances differ by less than rounding, in
        // TF32 they are noise.
        let rows = near(100, 64, 0.05, 0.03);
        let labels: Vec<usize> = (0..200).map(|i| i / 2).collect();
        let expected = oracle(&rows, &labels, &[Role::Both; 200]);
        for device in WITHOUT_F64 {
            assert_eq!(on(device, || ranks(&rows, &labels)), expected, "{device:?}");
        }
    }

    #[test]
    fn tiles_have_the_ranks_of_one_matrix() {
        // 5,000 images are 25 million pairs: two tiles.
        let n = 5_000;
        let labels: Vec<usize> = (0..n).map(|i| i / 5).collect();
        let rows: Vec<Vec<f32>> = (0..n)
            .map(|i| {
                let at = |k: usize| ((i * 7919 + k * 104_729) % 1009) as f32 / 1009.0;
                vec![at(1), at(2), labels[i] as f32 / 100.0]
            })
            .collect();
        assert!(n * n > TILE_ENTRIES);
        let found = ranks(&rows, &labels);
        // Each query of the oracle sorts 5,000 neighbours, so a sample on both sides of the border is
        // compared.
        for query in (0..n).step_by(97) {
            let distance = |i: usize| -> f64 {
                let d = |k: usize| f64::from(rows[i][k]) - f64::from(rows[query][k]);
                d(0).powi(2) + d(1).powi(2) + d(2).powi(2)
            };
            let positive = (0..n)
                .filter(|&i| i != query && labels[i] == labels[query])
                .map(distance)
                .fold(f64::INFINITY, f64::min);
            // The rounding of squared lengths up to 2,500 to `f32` changes a squared distance by up to 1e-3.
            let count = |bound: f64| {
                (0..n)
                    .filter(|&i| labels[i] != labels[query] && distance(i) <= bound)
                    .count()
                    + 1
            };
            let rank = found[query].unwrap();
            let (low, high) = (count(positive - 1e-3), count(positive + 1e-3));
            assert!(
                (low..=high).contains(&rank),
                "query {query}: {low} ≤ {rank} ≤ {high}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        // Coordinates are small integers: every product is exact in `f32`, so all ranks agree, ties
        // included.
        #[test]
        fn ranks_equal_those_of_sorted_neighbours(
            points in proptest::collection::vec((proptest::collection::vec(-4i8..=4, 3), 0usize..4, 0usize..3), 1..40),
            with_roles: bool,
        ) {
            let rows: Vec<Vec<f32>> = points
                .iter()
                .map(|(point, ..)| point.iter().map(|&x| f32::from(x)).collect())
                .collect();
            let labels: Vec<usize> = points.iter().map(|(_, label, _)| *label).collect();
            let role = |role: usize| match with_roles {
                true => [Role::Both, Role::Query, Role::Gallery][role],
                false => Role::Both,
            };
            let roles: Vec<Role> = points.iter().map(|(.., r)| role(*r)).collect();
            let found = ranks_by_role(&rows, &labels, with_roles.then_some(&roles[..]));
            prop_assert_eq!(found, oracle(&rows, &labels, &roles));
        }
    }
}
