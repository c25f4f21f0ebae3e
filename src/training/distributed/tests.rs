//! Processes compute what one process does. Threads are the processes here; `tests/mpi` starts real ones.

use std::path::Path;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn_store::ModuleSnapshot;
use burn_train::TrainStep;

use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::data::{ImageBatch, UploadMode};
use crate::distribution::{ProcessGroup, threads};
use crate::model::{ConvAlgorithm, Embedder};
use crate::progress::NoProgress;
use crate::training::network::embedder_config;
use crate::training::step_options::TrainStepSchedule;
use crate::training::validation::{RetrievalProtocol, Validation};
use crate::training::{GroupedAdam, MetricLearner, Objective, RunContext, TrainingError, train};

type AB = Autodiff<burn_flex::Flex>;

/// Sums of f32 in another order: of the images of a shard and of the shards.
const TOLERANCE: f64 = 1e-5;

fn config(overrides: &[&str]) -> Config {
    let small = [
        "data.classes=20",
        "data.images_per_class=6",
        "batch.classes=5",
        "model.embedding_dim=8",
        "model.dropout=0.2",
        "data.image_size=16",
        "data.resize=18",
        "training.epochs=4",
        "training.validate_every=2",
    ];
    let overrides = small.iter().chain(overrides).map(ToString::to_string);
    Config::quickstart(&overrides.collect::<Vec<_>>()).unwrap()
}

fn compute() -> ComputeContext<AB> {
    ComputeContext {
        device: Default::default(),
        conv: ConvAlgorithm::Im2col,
        in_process: true,
        upload: UploadMode::Normalized,
    }
}

/// The network of a configuration with the same weights in each call.
fn learner(config: &Config, group: &ProcessGroup) -> MetricLearner<AB> {
    let embedder: Embedder<AB> = embedder_config(config, &compute()).init(&Default::default());
    let validation = Validation::new(
        RetrievalProtocol::default(),
        crate::data::EpochSchedule::Always,
        [],
    );
    let sharing = super::BatchSharing {
        group: group.clone(),
        sync_batch_norm: config.training.sync_batch_norm,
    };
    let schedule = TrainStepSchedule::new(config);
    MetricLearner::new(embedder, Objective::new(config), schedule, validation).sharing(sharing)
}

/// This process's rows of a batch of 10 images of 5 classes.
fn batch(group: &ProcessGroup) -> ImageBatch<AB> {
    const IMAGES: usize = 10;
    let values: Vec<f32> = (0..IMAGES * 3 * 16 * 16)
        .map(|i| (i as f32 * 0.37).sin() + (i / 768) as f32 * 0.05)
        .collect();
    let images = Tensor::<AB, 1>::from_floats(values.as_slice(), &Default::default());
    let rows = group.share(IMAGES);
    ImageBatch {
        images: images.reshape([IMAGES, 3, 16, 16]).slice([rows.clone()]),
        labels: rows.clone().map(|row| row % 5).collect(),
        indices: rows.map(|row| 100 + row).collect(),
        epoch: 1,
        last: true,
    }
}

/// The gradients of the parameters by name, and the running statistics after the step.
fn step(config: &Config, group: &ProcessGroup) -> Vec<(String, Vec<f64>)> {
    let learner = learner(config, group);
    let output = learner.step(batch(group));
    let loss = output.item.0[0].statistics.loss.sum;
    let mut found = vec![("loss".to_string(), vec![loss])];
    found.extend(gradients(&learner.embedder, &output.grads));
    found.extend(tensors(&learner.embedder));
    found
}

fn gradients(embedder: &Embedder<AB>, gradients: &GradientsParams) -> Vec<(String, Vec<f64>)> {
    use burn::module::{Module, ModuleVisitor, Param};

    struct Collect<'a>(&'a GradientsParams, Vec<(String, Vec<f64>)>);
    impl ModuleVisitor<AB> for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<AB, D>>) {
            if let Some(gradient) = self.0.get::<burn_flex::Flex, D>(param.id) {
                let name = format!("gradient {} of {:?}", self.1.len(), gradient.shape());
                self.1.push((name, gradient.into_data().iter().collect()));
            }
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    embedder.visit(&mut collect);
    collect.1
}

fn tensors(embedder: &Embedder<AB>) -> Vec<(String, Vec<f64>)> {
    let tensors = embedder.valid().collect(None, None, true).into_iter();
    let values = tensors.map(|tensor| {
        let data = tensor.to_data().unwrap();
        (tensor.full_path(), data.iter::<f64>().collect())
    });
    values.collect()
}

/// Checks the Euclidean norm of the difference of each tensor beside that of the tensor.
fn assert_close(found: &[(String, Vec<f64>)], expected: &[(String, Vec<f64>)], what: &str) {
    assert_close_to(found, expected, what, TOLERANCE);
}

fn assert_close_to(
    found: &[(String, Vec<f64>)],
    expected: &[(String, Vec<f64>)],
    what: &str,
    tolerance: f64,
) {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    assert_eq!(found.len(), expected.len(), "{what}");
    for ((name, found), (other, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.len()), (other, expected.len()), "{what}");
        let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
        let size = norm(&mut expected.iter().copied());
        // Convolutions before a batch norm have no bias, so that no gradient is 0 but for rounding.
        let limit = tolerance * size.max(1e-3);
        assert!(
            difference <= limit,
            "{what}: {name} differs by {difference} of {size}"
        );
    }
}

/// Losses with ways of negatives, and both ways of batch norms that compute what one process does.
fn objectives() -> impl Iterator<Item = (String, Config)> {
    let losses: [&[&str]; 3] = [
        &["loss.name=\"hphn-triplet\"", "negatives.name=\"loop\""],
        &[
            "loss.name=\"multi-similarity\"",
            "negatives.name=\"embedding-expansion\"",
        ],
        &["loss.name=\"n-pair\"", "negatives.name=\"loop\""],
    ];
    let norms = [
        "training.sync_batch_norm=true",
        "model.freeze_batch_norm=true",
    ];
    losses.into_iter().flat_map(move |loss| {
        norms.into_iter().map(move |norm| {
            let name = format!("{loss:?} {norm}");
            let overrides: Vec<&str> = loss.iter().copied().chain([norm]).collect();
            (name, config(&overrides))
        })
    })
}

#[test]
fn loss_gradients_and_running_statistics_are_those_of_one_process() {
    for (name, config) in objectives() {
        let expected = step(&config, &ProcessGroup::single());
        // 10 rows are not divisible by 3 and 4; parts divide a class.
        for size in [2, 3, 4] {
            for found in threads::run(size, |group| step(&config, &group)) {
                assert_close(&found, &expected, &format!("{name}, {size} processes"));
            }
        }
    }
}

#[test]
fn recomputed_stages_are_synchronised_too() {
    let config = config(&[
        "training.sync_batch_norm=true",
        "training.gradient_checkpointing=true",
    ]);
    let expected = step(&config, &ProcessGroup::single());
    for found in threads::run(2, |group| step(&config, &group)) {
        assert_close(&found, &expected, "gradient checkpointing");
    }
}

#[test]
fn batch_norms_of_parts_differ_from_one_process_but_not_between_processes() {
    let config = config(&[]);
    let one = step(&config, &ProcessGroup::single());
    let found = threads::run(2, |group| step(&config, &group));
    assert_eq!(found[0], found[1]);
    assert_ne!(found[0], one);
}

/// Trains in `run` with a group.
fn train_in(run: &Path, config: &Config, group: ProcessGroup) -> Result<(), TrainingError> {
    let context = RunContext {
        compute: &compute(),
        observer: Arc::new(NoProgress),
        cancellation: &CancellationToken::new(),
        group,
    };
    train::<AB>(config, Some(run), "run", &context).map(|_| ())
}

/// The parameters and running statistics after 50 steps of Adam.
fn after_steps(config: &Config, group: &ProcessGroup) -> Vec<(String, Vec<f64>)> {
    let mut learner = learner(config, group);
    let mut optimizer = GroupedAdam::<AB>::new(&config.optimizer, &Default::default());
    for _ in 0..50 {
        let output = learner.step(batch(group));
        learner = optimizer.step(1e-3, learner, output.grads);
    }
    tensors(&learner.embedder)
}

#[test]
fn parameters_after_50_steps_are_those_of_one_process() {
    let synchronised = |(_, config): &(String, Config)| config.training.sync_batch_norm;
    for (name, config) in objectives().filter(synchronised) {
        let expected = after_steps(&config, &ProcessGroup::single());
        let found = threads::run(2, |group| after_steps(&config, &group));
        // The same bits in all processes.
        assert_eq!(found[0], found[1]);
        // Adam divides by the size of a gradient, so that a gradient near 0 makes steps of its rounding errors.
        assert_close_to(&found[0], &expected, &name, 1e-3);
    }
}

#[test]
fn process_with_another_configuration_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let mut results = threads::run_each(2, |group| {
        let key = ["training.seed=1", "training.seed=2"][group.rank()];
        train_in(&run, &config(&[key]), group)
    });
    // Process 1 waits for process 0, which has ended.
    assert!(results.pop().unwrap().is_err());
    let message = results.pop().unwrap().unwrap().unwrap_err().to_string();
    assert!(
        message.starts_with("process 1 on localhost: training.seed is 2, and 1 in process 0"),
        "{message}"
    );
    assert!(!run.exists());
}
