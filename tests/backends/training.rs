//! Short trainings from one seed: the losses of a backend are close to the CPU's.

use burn::backend::Autodiff;
use burn::optim::Optimizer;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::config::Config;
use loop_dml::data::{EpochSchedule, ImageBatch};
use loop_dml::model::{ConvAlgorithm, Embedder, EmbedderConfig};
use loop_dml::training::{
    GroupedAdam, MetricLearner, Objective, RetrievalProtocol, TrainStepSchedule, Validation,
};

use crate::data::Draws;
use crate::{Findings, exactly, values};

const STEPS: usize = 10;

/// Random images in classes.
pub(crate) struct Images {
    pub(crate) values: Vec<f32>,
    labels: Vec<i64>,
    side: usize,
}

impl Images {
    /// Draws `count` images of each class: a wave with a frequency of the class, and noise.
    pub(crate) fn new(classes: usize, count: usize, side: usize, seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let mut images = Self {
            values: Vec::new(),
            labels: Vec::new(),
            side,
        };
        for class in 0..classes {
            for _ in 0..count {
                let noise = draws.normals(3 * side * side);
                let wave = |k: usize| (k as f32 * (0.1 + 0.07 * class as f32)).sin();
                let pixels = noise
                    .iter()
                    .enumerate()
                    .map(|(k, noise)| wave(k) + 0.5 * noise);
                images.values.extend(pixels);
                images.labels.push(class as i64);
            }
        }
        images
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        [self.labels.len(), 3, self.side, self.side]
    }

    pub(crate) fn batch<B: Backend>(&self) -> ImageBatch<B> {
        let device = Default::default();
        let count = self.labels.len();
        ImageBatch {
            images: Tensor::from_data(TensorData::new(self.values.clone(), self.shape()), &device),
            labels: self.labels.iter().map(|&label| label as usize).collect(),
            indices: (0..count).collect(),
            epoch: 1,
            last: false,
        }
    }
}

/// Returns the algorithm of a backend's layers.
pub(crate) fn algorithm(backend: &str) -> ConvAlgorithm {
    match backend {
        "cpu" => ConvAlgorithm::Im2col,
        _ => ConvAlgorithm::Backend,
    }
}

pub(crate) fn embedder<B: Backend>(config: &Config, algorithm: ConvAlgorithm) -> Embedder<B> {
    let network = EmbedderConfig::from(&config.model).with_algorithm(algorithm);
    network
        .with_seed(config.training.seed)
        .init(&Default::default())
}

pub(crate) fn learner<B: Backend>(embedder: Embedder<B>, config: &Config) -> MetricLearner<B> {
    MetricLearner::new(
        embedder,
        Objective::new(config),
        TrainStepSchedule::new(config),
        Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []),
    )
}

/// Returns the mean loss and the number of anchors of every step.
pub(crate) fn losses<AB: AutodiffBackend>(config: &Config, backend: &str) -> Vec<[f64; 2]> {
    let mut learner = learner::<AB>(embedder(config, algorithm(backend)), config);
    let mut optimizer = GroupedAdam::new(&config.optimizer, &Default::default());
    (0..STEPS)
        .map(|step| {
            let images = Images::new(6, 4, 16, step as u64);
            let (forward_pass, statistics) = learner.forward(images.batch());
            let gradients = forward_pass.gradients();
            learner = optimizer.step(1e-3, learner.clone(), gradients);
            let statistics = values(statistics);
            [statistics[0] / statistics[1], statistics[1]]
        })
        .collect()
}

fn compare<AB: AutodiffBackend>(negatives: &str, backend: &str) -> Findings {
    let mut findings = Findings::default();
    let overrides = [
        "loss.name=hphn-triplet".to_string(),
        "loss.margin=0.5".to_string(),
        format!("negatives.name={negatives}"),
        "model.backbone=conv4".to_string(),
        "model.embedding_dim=32".to_string(),
        "batch.classes=6".to_string(),
        "batch.images_per_class=4".to_string(),
    ];
    let config = Config::parse("", "a test", &overrides).expect("the configuration is valid");
    let expected = losses::<Autodiff<Cpu>>(&config, "cpu");
    let actual = exactly(|| losses::<AB>(&config, backend));
    // Rounding errors grow from step to step.
    let allowed = 0.01;
    for (step, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let ([loss, anchors], [expected_loss, expected_anchors]) = (actual, expected);
        findings.check(
            (loss - expected_loss).abs() <= allowed * expected_loss.abs(),
            || format!("loss of step {step} is {loss}, not {expected_loss}"),
        );
        findings.check(anchors == expected_anchors, || {
            format!("{anchors} anchors, not {expected_anchors}")
        });
    }
    // TF32 begins with larger errors.
    let [rounded, _] = losses::<AB>(&config, backend)[0];
    let [first, _] = expected[0];
    findings.check((rounded - first).abs() <= 0.01 * first, || {
        format!("the first loss by matrix units is {rounded}, not {first}")
    });
    findings.check(expected[STEPS - 1][0] < expected[0][0], || {
        format!("the loss does not fall: {expected:?}")
    });
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    for negatives in ["none", "embedding-expansion", "loop"] {
        let name = format!("{backend}::training::{negatives}");
        let backend = backend.to_string();
        trials.push(Trial::test(name, move || {
            compare::<AB>(negatives, &backend).result()
        }));
    }
}
