//! Clusters and distances. On the CPU, both are compared with plain loops in `f64` by unit tests; here, other
//! backends are compared with the CPU.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::evaluation::{ClusteringOptions, MeasureOptions, SplitMeasures};
use loop_dml::progress::Monitor;

use crate::Findings;
use crate::data::{Batch, batch};

fn measures<B: Backend>(batch: &Batch) -> SplitMeasures {
    let data = TensorData::new(batch.rows.clone(), [batch.labels.len(), batch.dim]);
    let embeddings = Tensor::<B, 2>::from_data(data, &Default::default());
    let labels: Vec<usize> = batch.labels.iter().map(|&label| label as usize).collect();
    let options = MeasureOptions {
        recall: &[1],
        clustering: Some(ClusteringOptions::default()),
        distances: true,
        ..MeasureOptions::default()
    };
    let measured = SplitMeasures::measure(
        embeddings,
        &labels,
        None,
        |_| true,
        options,
        Monitor::none(),
    );
    measured.expect("nothing cancels it")
}

fn compare<B: Backend>(around: f32) -> Findings {
    let mut findings = Findings::default();
    for (classes, images, dim) in [(1, 3, 4), (4, 2, 24), (10, 6, 8), (30, 5, 64)] {
        let mut batch = batch(classes, images, dim, 0.5, 5);
        batch.rows.iter_mut().for_each(|x| *x = around + *x * 0.1);
        let (actual, expected) = (measures::<B>(&batch), measures::<Cpu>(&batch));
        let size = format!("{classes} x {images} x {dim}");
        findings.check(actual.retrieval == expected.retrieval, || {
            format!(
                "{size}: {:?}, not {:?}",
                actual.retrieval, expected.retrieval
            )
        });
        let (of, right) = (actual.clustering.unwrap(), expected.clustering.unwrap());
        // The same assignments, so that all follows on the host.
        findings.check(of == right, || format!("{size}: {of:?}, not {right:?}"));
        let (of, right) = (actual.distances.unwrap(), expected.distances.unwrap());
        findings.check(of.intra == right.intra && of.inter == right.inter, || {
            format!("{size}: {of:?}, not {right:?}")
        });
        let near = |a: Option<f64>, b: Option<f64>, tolerance: f64| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance * b.abs(),
            (a, b) => a == b,
        };
        findings.check(near(of.margin, right.margin, 1e-6), || {
            format!("{size}: {of:?}, not {right:?}")
        });
        // Its products may be rounded to 11 bits on a GPU.
        let dimensions = (of.effective_dimension, right.effective_dimension);
        findings.check(near(dimensions.0, dimensions.1, 2e-3), || {
            format!("{size}: {of:?}, not {right:?}")
        });
    }
    findings
}

pub(crate) fn trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    for (name, around) in [("spread", 0.0), ("near", 1.0)] {
        let name = format!("{backend}::measures::{name}");
        trials.push(Trial::test(name, move || compare::<B>(around).result()));
    }
}
