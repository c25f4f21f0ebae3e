//! The state of a training on each backend: what is not finite is found, and a checkpoint restores the
//! exact state.

use burn::optim::Optimizer;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use libtest_mimic::Trial;
use loop_dml::config::Config;
use loop_dml::model::Embedder;
use loop_dml::training::checkpoint::{CheckpointFile, CheckpointHeader};
use loop_dml::training::{
    CheckpointPosition, Divergence, GroupedAdam, MetricLearner, check_finite,
};

use crate::Findings;
use crate::training::{Images, algorithm, embedder, learner};

const RATE: f64 = 1e-3;

fn optimizer<AB: AutodiffBackend>(config: &Config) -> GroupedAdam<AB> {
    GroupedAdam::new(&config.optimizer, &Default::default())
}

fn step<AB: AutodiffBackend>(
    learner: MetricLearner<AB>,
    optimizer: &mut GroupedAdam<AB>,
    seed: u64,
) -> MetricLearner<AB> {
    let images = Images::new(4, 4, 16, seed);
    let gradients = {
        let (forward_pass, _) = learner.forward(images.batch());
        forward_pass.gradients()
    };
    optimizer.step(RATE, learner, gradients)
}

fn save<AB: AutodiffBackend>(
    embedder: &Embedder<AB>,
    optimizer: &GroupedAdam<AB>,
) -> CheckpointFile {
    let header = CheckpointHeader::new(CheckpointPosition::end_of(1), String::new());
    CheckpointFile::from_state(header, embedder, optimizer)
}

/// Each kind of a value that is not finite is found in the first, a middle and the last position.
fn finds_what_is_not_finite<AB: AutodiffBackend>(backend: &str) -> Findings {
    let mut findings = Findings::default();
    let config = Config::default();
    let optimizer = optimizer::<AB>(&config);
    let network = embedder::<AB>(&config, algorithm(backend));
    findings.check(check_finite(&network, &optimizer).is_ok(), || {
        "the initial network is not finite".to_string()
    });
    let [features, dim] = network.head.weight.dims();
    let count = features * dim;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for position in [0, count / 2 + 1, count - 1] {
            let mut broken = network.clone();
            broken.head.weight = broken.head.weight.map(|weight| {
                let device = weight.device();
                let mut data = weight
                    .into_data()
                    .into_vec::<f32>()
                    .expect("weights are f32");
                data[position] = value;
                let data = burn::tensor::TensorData::new(data, [features, dim]);
                Tensor::from_data(data, &device).require_grad()
            });
            let expected = Err(Divergence::NotFinite {
                what: "head.weight".to_string(),
            });
            let found = check_finite(&broken, &optimizer);
            findings.check(found == expected, || {
                format!("{value} in position {position}: {found:?}")
            });
        }
    }
    findings
}

/// A state that was saved and loaded is bit-identical, and so are the steps after it.
fn restores_exactly<AB: AutodiffBackend>(backend: &str) -> Findings {
    let mut findings = Findings::default();
    let config = Config::default();
    let mut optimizer_1 = optimizer::<AB>(&config);
    let mut learner_1 = learner(embedder::<AB>(&config, algorithm(backend)), &config);
    for seed in 0..3 {
        learner_1 = step(learner_1, &mut optimizer_1, seed);
    }
    let saved = save(&learner_1.embedder, &optimizer_1);
    let parsed = CheckpointFile::parse(&saved.to_bytes()).expect("it was just written");

    let mut network = embedder::<AB>(&config, algorithm(backend));
    parsed.load_network(&mut network).expect("the same network");
    let mut optimizer_2 = parsed
        .load_optimizer(&network, optimizer(&config))
        .expect("the same network");
    let learner_2 = learner(network, &config);
    let restored = save(&learner_2.embedder, &optimizer_2);
    findings.check(restored.to_bytes() == saved.to_bytes(), || {
        "the restored state differs".to_string()
    });

    let next_1 = step(learner_1, &mut optimizer_1, 3);
    let next_2 = step(learner_2, &mut optimizer_2, 3);
    let tensors_1 = save(&next_1.embedder, &optimizer_1).tensors;
    let tensors_2 = save(&next_2.embedder, &optimizer_2).tensors;
    for (name, tensor) in &tensors_1 {
        findings.check(tensors_2.get(name) == Some(tensor), || {
            format!("{name} differs after a step from the restored state")
        });
    }
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    let mut add = |name: &str, test: fn(&str) -> Findings| {
        let name = format!("{backend}::state::{name}");
        let backend = backend.to_string();
        trials.push(Trial::test(name, move || test(&backend).result()));
    };
    add("not_finite", finds_what_is_not_finite::<AB>);
    add("restored", restores_exactly::<AB>);
}
