//! Whether the state of a training is finite.

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_store::ModuleSnapshot;

use super::divergence::Divergence;
use super::optimizer::{AdamRecords, GroupedAdam};
use crate::model::Embedder;

/// A parameter with a larger mean magnitude has diverged. Trained networks have magnitudes below 100.
const MAX_MAGNITUDE: f64 = 1e4;

/// Checks the parameters, the running statistics and the state of the optimiser, with one read of the
/// device.
///
/// # Errors
/// The first tensor that is not finite, or parameter whose mean magnitude is above 10,000.
pub fn check_finite<B: AutodiffBackend>(
    embedder: &Embedder<B>,
    optimizer: &GroupedAdam<B>,
) -> Result<(), Divergence> {
    let network = embedder.valid();
    let names: Vec<String> = network
        .collect(None, None, true)
        .iter()
        .map(|tensor| tensor.full_path())
        .collect();
    let mut sums = MagnitudeSums::default();
    network.visit(&mut sums);
    assert_eq!(names.len(), sums.ids.len(), "both visit every tensor");
    let moments = optimizer.with_records(|records| moment_sums::<B>(embedder, records));

    let network_sums = sums.sums.len();
    let all = Tensor::cat([sums.sums, moments.sums].concat(), 0).into_data();
    let all: Vec<f64> = all.convert::<f64>().into_vec().expect("just converted");
    let (values, moment_values) = all.split_at(network_sums);
    for ((name, &count), &sum) in names.iter().zip(&sums.counts).zip(values) {
        if !sum.is_finite() {
            return Err(Divergence::NotFinite { what: name.clone() });
        }
        // Running statistics and standardisations have the scale of the features.
        let mean = sum / count as f64;
        let is_statistic = name.contains("running_") || name.starts_with("standardization.");
        if mean > MAX_MAGNITUDE && !is_statistic {
            return Err(Divergence::Exploded {
                parameter: name.clone(),
                magnitude: mean,
            });
        }
    }
    for (id, sum) in moments.ids.iter().zip(moment_values) {
        if !sum.is_finite() {
            let position = sums.ids.iter().position(|other| other == id);
            let name = position.map_or("a parameter", |position| &names[position]);
            return Err(Divergence::NotFinite {
                what: format!("Adam's state of {name}"),
            });
        }
    }
    Ok(())
}

/// The sum of the magnitudes of each tensor, `[1]` each. It is not finite if a value is not.
struct MagnitudeSums<B: Backend> {
    ids: Vec<ParamId>,
    counts: Vec<usize>,
    sums: Vec<Tensor<B, 1>>,
}

impl<B: Backend> Default for MagnitudeSums<B> {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl<B: Backend> MagnitudeSums<B> {
    fn add<const D: usize>(&mut self, id: ParamId, tensor: Tensor<B, D>) {
        self.ids.push(id);
        self.counts.push(tensor.shape().num_elements());
        self.sums.push(tensor.abs().sum());
    }
}

impl<B: Backend> ModuleVisitor<B> for MagnitudeSums<B> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        self.add(parameter.id, parameter.val());
    }
}

/// The sums of Adam's moments of each parameter that has some.
fn moment_sums<B: AutodiffBackend>(
    embedder: &Embedder<B>,
    records: &AdamRecords<B>,
) -> MagnitudeSums<B::InnerBackend> {
    struct Visitor<'a, B: AutodiffBackend> {
        records: &'a AdamRecords<B>,
        sums: MagnitudeSums<B::InnerBackend>,
    }
    impl<B: AutodiffBackend> ModuleVisitor<B> for Visitor<'_, B> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
            if let Some(record) = self.records.get(&parameter.id) {
                let state = record.clone().into_state::<D>().momentum;
                self.sums.add(parameter.id, state.moment_1);
                self.sums.add(parameter.id, state.moment_2);
            }
        }
    }
    let mut visitor = Visitor::<B> {
        records,
        sums: MagnitudeSums::default(),
    };
    embedder.visit(&mut visitor);
    visitor.sums
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::optim::{GradientsParams, Optimizer};

    use super::*;
    use crate::config::Config;
    use crate::data::EpochSchedule;
    use crate::model::EmbedderConfig;
    use crate::training::{
        MetricLearner, Objective, RetrievalProtocol, TrainStepSchedule, Validation,
    };

    type AB = Autodiff<burn_flex::Flex>;

    fn embedder() -> Embedder<AB> {
        EmbedderConfig::from(&Config::default().model).init(&Default::default())
    }

    fn optimizer() -> GroupedAdam<AB> {
        GroupedAdam::new(&Config::default().optimizer, &Default::default())
    }

    fn set_bias(embedder: &mut Embedder<AB>, value: f32) {
        let bias = embedder.head.bias.take().unwrap();
        embedder.head.bias = Some(bias.map(|bias| bias.full_like(value)));
    }

    #[test]
    fn initial_network_is_finite() {
        assert_eq!(check_finite(&embedder(), &optimizer()), Ok(()));
    }

    #[test]
    fn tensor_that_is_not_finite_is_named() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut embedder = embedder();
            set_bias(&mut embedder, value);
            assert_eq!(
                check_finite(&embedder, &optimizer()),
                Err(Divergence::NotFinite {
                    what: "head.bias".into()
                })
            );
        }
    }

    #[test]
    fn exploded_parameter_is_named() {
        let mut embedder = embedder();
        set_bias(&mut embedder, -2e4);
        let result = check_finite(&embedder, &optimizer());
        assert!(
            matches!(&result, Err(Divergence::Exploded { parameter, .. }) if parameter == "head.bias"),
            "{result:?}"
        );
    }

    #[test]
    fn infinite_moment_of_a_finite_parameter_is_found() {
        let config = Config::default();
        let learner = MetricLearner::new(
            embedder(),
            Objective::new(&config),
            TrainStepSchedule::new(&config),
            Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []),
        );
        let bias = learner.embedder.head.bias.as_ref().unwrap();
        let mut gradients = GradientsParams::new();
        // Its square is infinite in single precision, so Adam's step is 0.
        gradients.register(bias.id, bias.val().inner().full_like(1e30));
        let mut optimizer = optimizer();
        let learner = optimizer.step(1e-3, learner, gradients);
        let what = "Adam's state of head.bias".to_string();
        assert_eq!(
            check_finite(&learner.embedder, &optimizer),
            Err(Divergence::NotFinite { what })
        );
    }
}
