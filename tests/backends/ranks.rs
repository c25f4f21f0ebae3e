//! Ranks of the positives, from which every retrieval measure is computed.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::evaluation::{QueryMeasures, Role, measure_queries, nearest_positive_ranks};
use loop_dml::progress::Monitor;

use crate::data::{Batch, batch};
use crate::{Findings, full};

/// Computes the ranks of all positives by plain loops in `f64`; images of other classes win ties.
fn expected(batch: &Batch, roles: &[Role]) -> Vec<Vec<usize>> {
    let row = |i: usize| &batch.rows[i * batch.dim..(i + 1) * batch.dim];
    let square = |i: usize, j: usize| -> f64 {
        let both = row(i).iter().zip(row(j));
        both.map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
            .sum()
    };
    let all = 0..batch.labels.len();
    let queries = all.clone().filter(|&i| roles[i].is_query());
    queries
        .map(|i| {
            let gallery = all.clone().filter(|&j| j != i && roles[j].is_in_gallery());
            let neighbours = gallery.map(|j| (square(i, j), batch.labels[j] == batch.labels[i]));
            let mut neighbours: Vec<(f64, bool)> = neighbours.collect();
            neighbours.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let ranked = neighbours.iter().zip(1..);
            let positives = ranked.filter(|((_, positive), _)| *positive);
            positives.map(|(_, rank)| rank).collect()
        })
        .collect()
}

/// The measures of a query by their definitions.
fn measures(ranks: &[usize]) -> Option<QueryMeasures> {
    let count = ranks.len() as f64;
    let precision = |j: usize| (j + 1) as f64 / ranks[j] as f64;
    let among_first = (0..ranks.len()).filter(|&j| ranks[j] <= ranks.len());
    Some(QueryMeasures {
        nearest: *ranks.first()?,
        r_precision: among_first.clone().count() as f64 / count,
        map_at_r: among_first.map(precision).sum::<f64>() / count,
        average_precision: (0..ranks.len()).map(precision).sum::<f64>() / count,
    })
}

fn compare<B: Backend>(spread: f64, around: f32) -> Findings {
    let mut findings = Findings::default();
    let most = if full() { 500 } else { 40 };
    for (classes, images, dim) in [
        (1, 1, 4),
        (1, 2, 4),
        (2, 1, 4),
        (2, 2, 1),
        (3, 2, 2),
        (4, 2, 24),
        (5, 3, 8),
        (8, 4, 512),
        (31, 2, 64),
        (most, 5, 48),
    ] {
        let mut batch = batch(classes, images, dim, spread, 5);
        // Adds a common part that is large relative to the differences.
        batch.rows.iter_mut().for_each(|x| *x = around + *x * 0.1);
        let count = batch.labels.len();
        let cycle = [Role::Both, Role::Query, Role::Gallery];
        for roles in [
            vec![Role::Both; count],
            (0..count).map(|i| cycle[i % 3]).collect(),
        ] {
            let data = TensorData::new(batch.rows.clone(), [count, dim]);
            let labels: Vec<usize> = batch.labels.iter().map(|&label| label as usize).collect();
            let embeddings = Tensor::<B, 2>::from_data(data, &Default::default());
            let expected: Vec<Option<QueryMeasures>> = expected(&batch, &roles)
                .iter()
                .map(|ranks| measures(ranks))
                .collect();
            let nearest = nearest_positive_ranks(embeddings.clone(), &labels, Some(&roles));
            let actual = measure_queries(embeddings, &labels, Some(&roles), Monitor::none());
            let actual = actual.expect("nothing cancels it");
            let expected_nearest = expected
                .iter()
                .map(|query| query.map(|query| query.nearest));
            let expected_nearest: Vec<Option<usize>> = expected_nearest.collect();
            findings.check(nearest == expected_nearest, || {
                format!("{classes} x {images} x {dim}: {nearest:?}, not {expected_nearest:?}")
            });
            let first = (0..expected.len()).find(|&i| actual.get(i) != expected.get(i));
            findings.check(actual.len() == expected.len() && first.is_none(), || {
                let i = first.unwrap_or(expected.len());
                format!(
                    "{classes} x {images} x {dim}: measures of query {i} are {:?}, not {:?}",
                    actual.get(i),
                    expected.get(i)
                )
            });
        }
    }
    findings
}

pub(crate) fn trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    for (name, spread, around) in [("spread", 1.0, 0.0), ("near", 1.0, 1.0)] {
        let name = format!("{backend}::ranks::{name}");
        trials.push(Trial::test(name, move || {
            compare::<B>(spread, around).result()
        }));
    }
}
