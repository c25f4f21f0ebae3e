//! The measures of queries that several processes share.

use burn::tensor::{Int, Tensor, backend::Backend};

use super::measures::QueryMeasures;
use super::ranking::measure_queries;
use super::role::Role;
use crate::cancellation::Cancelled;
use crate::distribution::ProcessGroup;
use crate::progress::Monitor;

/// Measures as [`measure_queries`] does. Each process ranks a part of the queries in the whole gallery, and receives the
/// measures of the others.
///
/// One process that searches queries among themselves ranks a pair once; several rank it twice, so that two processes take as
/// long as one, and n processes 2/n of it.
///
/// # Errors
/// If a stop was requested.
pub(super) fn measure_shared_queries<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
    group: &ProcessGroup,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<QueryMeasures>>, Cancelled> {
    let role = |row: usize| roles.map_or(Role::Both, |roles| roles[row]);
    let queries: Vec<usize> = (0..labels.len())
        .filter(|&row| role(row).is_query())
        .collect();
    let own = &queries[group.share(queries.len())];
    let is_own = |row: usize| own.binary_search(&row).is_ok();
    // Queries of other processes are in the gallery only. Those that are not in the gallery are left out.
    let rows: Vec<usize> = (0..labels.len())
        .filter(|&row| is_own(row) || role(row).is_in_gallery())
        .collect();
    let own_roles: Vec<Role> = rows
        .iter()
        .map(|&row| match is_own(row) {
            true => role(row),
            false => Role::Gallery,
        })
        .collect();
    let own_labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
    let embeddings = match rows.len() == labels.len() {
        true => embeddings,
        false => {
            let numbers: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let device = embeddings.device();
            let numbers = Tensor::<B, 1, Int>::from_ints(numbers.as_slice(), &device);
            embeddings.select(0, numbers)
        }
    };
    let measured = measure_queries(embeddings, &own_labels, Some(&own_roles), monitor)?;
    let bytes: Vec<u8> = measured.into_iter().flat_map(to_bytes).collect();
    let all = group.gather(&bytes).concat();
    let (all, _) = all.as_chunks();
    Ok(all.iter().map(from_bytes).collect())
}

/// Bytes of the measures of a query.
const BYTES: usize = 32;

/// The rank of the nearest positive, 0 for a query without a positive, and the three other measures.
fn to_bytes(query: Option<QueryMeasures>) -> [u8; BYTES] {
    let numbers = query.map_or([0; 4], |query| {
        let measures = [query.r_precision, query.map_at_r, query.average_precision];
        let [r_precision, map_at_r, average_precision] = measures.map(f64::to_bits);
        [
            query.nearest as u64,
            r_precision,
            map_at_r,
            average_precision,
        ]
    });
    let mut bytes = [0; BYTES];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8; BYTES]) -> Option<QueryMeasures> {
    let (numbers, _) = bytes.as_chunks();
    let number = |at: usize| u64::from_le_bytes(numbers[at]);
    (number(0) > 0).then(|| QueryMeasures {
        nearest: number(0) as usize,
        r_precision: f64::from_bits(number(1)),
        map_at_r: f64::from_bits(number(2)),
        average_precision: f64::from_bits(number(3)),
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::distribution::threads;

    type B = burn_flex::Flex;

    fn embeddings() -> Tensor<B, 2> {
        let values: Vec<f32> = (0..61 * 3).map(|i| (i as f32 * 1.7).sin()).collect();
        Tensor::from_data(TensorData::new(values, [61, 3]), &Default::default())
    }

    #[test]
    fn measures_are_those_of_one_process() {
        // The last class has one image, so that its query has no positive.
        let labels: Vec<usize> = (0..61).map(|i| if i == 60 { 9 } else { i % 4 }).collect();
        let mixed: Vec<Role> = (0..61)
            .map(|i| [Role::Both, Role::Query, Role::Gallery][i % 3])
            .collect();
        let separate: Vec<Role> = (0..61)
            .map(|i| [Role::Query, Role::Gallery][i % 2])
            .collect();
        for roles in [None, Some(&mixed[..]), Some(&separate[..])] {
            let expected = measure_queries(embeddings(), &labels, roles, Monitor::none()).unwrap();
            assert!(roles.is_some() || expected.last().unwrap().is_none());
            for size in [2, 3, 70] {
                let found = threads::run(size, |group| {
                    let monitor = Monitor::none();
                    measure_shared_queries(embeddings(), &labels, roles, &group, monitor).unwrap()
                });
                assert!(found.iter().all(|found| *found == expected), "{size}");
            }
        }
    }
}
