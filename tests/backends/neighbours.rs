//! The nearest neighbours of queries in a gallery.

use burn::tensor::backend::Backend;
use libtest_mimic::Trial;
use loop_dml::evaluation::{NeighbourSearch, nearest_neighbours};
use loop_dml::progress::Monitor;

use crate::Findings;
use crate::data::batch;

/// The rows of the k nearest by plain loops in `f64`; of rows as near, the first.
fn expected(query: &[f32], gallery: &[f32], k: usize) -> Vec<(usize, f64)> {
    let square = |row: &[f32]| -> f64 {
        let pairs = row.iter().zip(query);
        pairs
            .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
            .sum()
    };
    let rows = gallery.chunks(query.len()).map(square).enumerate();
    let mut rows: Vec<(usize, f64)> = rows.collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    rows.truncate(k);
    rows
}

fn compare<B: Backend>(around: f32) -> Findings {
    let mut findings = Findings::default();
    for (classes, images, dim, k) in [
        (1, 2, 1, 1),
        (4, 2, 24, 3),
        (5, 3, 8, 20),
        (60, 50, 16, 7),
        (31, 2, 512, 5),
    ] {
        let moved = |seed| -> Vec<f32> {
            let rows = batch(classes, images, dim, 1.0, seed).rows;
            rows.into_iter().map(|x| around + x * 0.1).collect()
        };
        let gallery = moved(5);
        // Rows of the gallery, and others.
        let queries = [&gallery[..2 * dim], &moved(6)[..2 * dim]].concat();
        let search = NeighbourSearch {
            queries: &queries,
            gallery: &gallery,
            dim,
            k,
            is_excluded: &|_, _| false,
        };
        let found = nearest_neighbours::<B>(search, &Default::default(), Monitor::none());
        let found = found.expect("nothing cancels it");
        for (query, found) in queries.chunks(dim).zip(found) {
            let expected = expected(query, &gallery, k);
            let same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, expected)| {
                    // Both sum in `f64`, in another order.
                    let distance = expected.1.sqrt();
                    found.row == expected.0 && (found.distance - distance).abs() <= 1e-12 * distance
                });
            findings.check(same, || {
                format!("{classes} x {images} x {dim}: {found:?}, not {expected:?}")
            });
        }
    }
    findings
}

pub(crate) fn trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    for (name, around) in [("spread", 0.0), ("near", 1.0)] {
        let name = format!("{backend}::neighbours::{name}");
        trials.push(Trial::test(name, move || compare::<B>(around).result()));
    }
}
