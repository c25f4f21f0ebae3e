//! Whole networks: embeddings, gradients and one optimiser step, compared with the CPU backend, whose
//! networks are compared with the original implementations.

use std::collections::BTreeMap;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_store::ModuleSnapshot;
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::config::Config;
use loop_dml::model::Embedder;
use loop_dml::model::config::{Backbone, Descriptor, Pooling};

use crate::training::{Images, algorithm, embedder, learner};
use crate::{Findings, full, relative_error, values};

/// The values of every parameter and running statistic, by name.
fn tensors<B: Backend>(embedder: &Embedder<B>) -> BTreeMap<String, Vec<f64>> {
    let tensors = embedder.collect(None, None, false).into_iter();
    let numbers = |data: TensorData| data.convert::<f64>().into_vec().expect("just converted");
    tensors
        .map(|tensor| {
            (
                tensor.full_path(),
                numbers(tensor.to_data().expect("readable")),
            )
        })
        .collect()
}

/// The learning rate of the step.
const RATE: f64 = 1e-3;

struct TrainingSummary {
    untrained: Vec<f64>,
    trained: Vec<f64>,
    parameters: BTreeMap<String, Vec<f64>>,
}

fn outcome<AB: AutodiffBackend>(
    config: &Config,
    images: &Images,
    backend: &str,
) -> TrainingSummary {
    use burn::optim::Optimizer;
    use loop_dml::training::GroupedAdam;

    let network: Embedder<AB> = embedder(config, algorithm(backend));
    let data = TensorData::new(images.values.clone(), images.shape());
    let batch = Tensor::<AB::InnerBackend, 4>::from_data(data, &Default::default());
    let embed = |network: &Embedder<AB>| values(network.valid().forward(batch.clone()));
    let untrained = embed(&network);
    let start = learner(network, config);
    let (pending, _) = start.forward(images.batch());
    let gradients = pending.gradients();
    let moved =
        GroupedAdam::new(&config.optimizer, &Default::default()).step(RATE, start, gradients);
    TrainingSummary {
        untrained,
        trained: embed(&moved.embedder),
        parameters: tensors(&moved.embedder.valid()),
    }
}

fn compare<AB: AutodiffBackend>(backbone: Backbone, side: usize, backend: &str) -> Findings {
    let mut findings = Findings::default();
    let mut config = Config::default();
    config.model.backbone = backbone;
    config.model.embedding_dim = 24;
    config.model.pooling = Pooling(vec![Descriptor::Average, Descriptor::Max, Descriptor::Gem]);
    let images = Images::new(4, 2, side, 1);
    let expected = outcome::<Autodiff<Cpu>>(&config, &images, "cpu");
    let actual = outcome::<AB>(&config, &images, backend);
    // In every layer the order of f32 sums differs; on CUDA factors are also rounded to 11 bits.
    let allowed = if backend.starts_with("cuda") {
        2e-2
    } else {
        1e-4
    };
    for (name, actual, expected) in [
        ("untrained", &actual.untrained, &expected.untrained),
        ("trained", &actual.trained, &expected.trained),
    ] {
        let error = relative_error(actual, expected, 1e-30);
        // Adam's first step is the sign of the gradient: numbers whose gradient is rounding error may
        // move in the other direction.
        let allowed = if name == "trained" {
            10.0 * allowed
        } else {
            allowed
        };
        findings.check(error <= allowed, || {
            format!("embeddings of the {name} network are off by {error:.1e}")
        });
    }
    for (name, expected) in &expected.parameters {
        let Some(actual) = actual.parameters.get(name) else {
            findings.check(false, || format!("{name} is missing"));
            continue;
        };
        // Adam's first step moves a number by the learning rate, in a random direction if the gradient is
        // rounding error: at most 2 % of the numbers, or one. The tolerance of half the rate allows for the
        // rounding of running statistics.
        let near = |(a, b): &(&f64, &f64)| (*a - *b).abs() <= 0.5 * RATE + allowed * b.abs();
        let moved = expected.iter().zip(actual).filter(|both| !near(both));
        let (moved, count) = (moved.count(), expected.len());
        findings.check(moved <= (count / 50).max(1), || {
            format!("{name}: {moved} of {count} numbers differ")
        });
    }
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    let mut networks = vec![(Backbone::Conv4, 16)];
    if full() {
        networks.extend([
            (Backbone::GoogLeNet, 64),
            (Backbone::ResNet50, 64),
            (Backbone::EfficientNetLite0, 64),
        ]);
    }
    for (backbone, side) in networks {
        let name = format!("{backend}::network::{backbone:?}").to_lowercase();
        let backend = backend.to_string();
        trials.push(Trial::test(name, move || {
            compare::<AB>(backbone, side, &backend).result()
        }));
    }
}
