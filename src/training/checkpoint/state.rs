//! A network and the state of its optimiser as named tensors, and back.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param, ParamId};
use burn::optim::record::AdaptorRecord;
use burn::optim::{AdamState, AdaptiveMomentumState};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor, TensorData};
use burn_store::{ModuleSnapshot, TensorSnapshot};

use super::file::{CheckpointFile, CheckpointHeader, StoredTensor};
use crate::model::Embedder;
use crate::training::optimizer::{AdamRecords, GroupedAdam};

/// The prefix of the network's tensors.
const MODEL: &str = "model.";
/// The prefix of the optimiser's tensors.
const OPTIMIZER: &str = "optimizer.";
/// The suffixes of Adam's moments.
const MOMENTS: [&str; 2] = [".moment_1", ".moment_2"];

impl CheckpointFile {
    /// Reads a network and the state of its optimiser into a file with `header`. Reads the device in
    /// this thread, for the reason given at [`HostRecord`](crate::training::HostRecord).
    pub fn from_state<B: AutodiffBackend>(
        mut header: CheckpointHeader,
        embedder: &Embedder<B>,
        optimizer: &GroupedAdam<B>,
    ) -> Self {
        let mut tensors = network_tensors(&embedder.valid());
        optimizer.with_records(|records| {
            visit_moments::<B>(embedder, records, |path, updates, moments| {
                header.updates.insert(path.to_string(), updates);
                for (moment, suffix) in moments.into_iter().zip(MOMENTS) {
                    let name = format!("{OPTIMIZER}{path}{suffix}");
                    tensors.insert(name, StoredTensor::from_data(moment));
                }
            });
        });
        Self { header, tensors }
    }

    /// Reads a network into a file with `header`, without an optimiser.
    pub fn from_network<B: Backend>(header: CheckpointHeader, embedder: &Embedder<B>) -> Self {
        let tensors = network_tensors(embedder);
        Self { header, tensors }
    }

    /// Loads the network's tensors into `embedder`.
    ///
    /// # Errors
    /// The first tensor that is missing, unknown or of another shape.
    pub fn load_network<B: Backend>(&self, embedder: &mut Embedder<B>) -> Result<(), String> {
        let wanted = embedder.collect(None, None, true);
        let mut snapshots = Vec::with_capacity(wanted.len());
        for target in &wanted {
            let path = target.full_path();
            let stored = self.tensor(&format!("{MODEL}{path}"), &target.shape)?;
            snapshots.push(TensorSnapshot::from_data(
                stored.to_data(),
                target.path_stack.clone().unwrap_or_default(),
                target.container_stack.clone().unwrap_or_default(),
                ParamId::new(),
            ));
        }
        let stored = self.tensors.keys().filter(|name| name.starts_with(MODEL));
        if stored.count() != wanted.len() {
            return Err("it has tensors that the network does not have".to_string());
        }
        let result = embedder.apply(snapshots, None, None, true);
        match result.errors.first() {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        }
    }

    /// Loads the state of the optimiser of `embedder`'s parameters.
    ///
    /// # Errors
    /// The first moment that is missing or of another shape than its parameter.
    pub fn load_optimizer<B: AutodiffBackend>(
        &self,
        embedder: &Embedder<B>,
        optimizer: GroupedAdam<B>,
    ) -> Result<GroupedAdam<B>, String> {
        let mut loader = MomentLoader::<B> {
            file: self,
            path: Path::default(),
            records: AdamRecords::<B>::default(),
            error: None,
        };
        embedder.visit(&mut loader);
        match loader.error {
            Some(error) => Err(error),
            None if loader.records.len() != self.header.updates.len() => {
                Err("it has states of parameters that the network does not have".to_string())
            }
            None => Ok(optimizer.with_state(loader.records)),
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&StoredTensor, String> {
        let stored = self
            .tensors
            .get(name)
            .ok_or_else(|| format!("it lacks the tensor {name:?}"))?;
        if stored.shape != shape {
            return Err(format!(
                "the tensor {name:?} has shape {:?}, and the network's has {shape:?}",
                stored.shape
            ));
        }
        Ok(stored)
    }
}

/// The tensors of a network by their names in a file.
fn network_tensors<B: Backend>(embedder: &Embedder<B>) -> BTreeMap<String, StoredTensor> {
    let tensors = embedder.collect(None, None, true).into_iter();
    let named = tensors.map(|tensor| {
        let data = tensor.to_data().expect("the device returns its tensors");
        let name = format!("{MODEL}{}", tensor.full_path());
        (name, StoredTensor::from_data(data))
    });
    named.collect()
}

impl StoredTensor {
    fn from_data(data: TensorData) -> Self {
        let shape = data.shape.to_vec();
        let values = data.convert_dtype(DType::F32).into_vec::<f32>();
        let values = values.expect("just converted");
        Self {
            shape,
            bytes: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    fn to_data(&self) -> TensorData {
        let (numbers, _) = self.bytes.as_chunks();
        let values: Vec<f32> = numbers.iter().map(|&x| f32::from_le_bytes(x)).collect();
        TensorData::new(values, self.shape.clone())
    }
}

/// The path of the module that a visitor is in.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        // As in burn-store: variants of enums are not part of a tensor's name.
        if !container.starts_with("Enum:") {
            self.0.push(name.to_string());
        }
    }

    fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.pop();
        }
    }

    fn join(&self) -> String {
        self.0.join(".")
    }
}

/// Calls `visit` with the name, the number of updates and the two moments of each parameter that has
/// been updated.
fn visit_moments<B: AutodiffBackend>(
    embedder: &Embedder<B>,
    records: &AdamRecords<B>,
    visit: impl FnMut(&str, usize, [TensorData; 2]),
) {
    struct Reader<'a, B: AutodiffBackend, F> {
        records: &'a AdamRecords<B>,
        path: Path,
        visit: F,
    }
    impl<B: AutodiffBackend, F: FnMut(&str, usize, [TensorData; 2])> ModuleVisitor<B>
        for Reader<'_, B, F>
    {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
            if let Some(record) = self.records.get(&parameter.id) {
                let state = record.clone().into_state::<D>().momentum;
                let moments = [state.moment_1, state.moment_2].map(|moment| moment.into_data());
                (self.visit)(&self.path.join(), state.time, moments);
            }
        }

        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }

        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.exit(container);
        }
    }
    embedder.visit(&mut Reader::<B, _> {
        records,
        path: Path::default(),
        visit,
    });
}

/// Builds Adam's state of each parameter that the file has one of.
struct MomentLoader<'a, B: AutodiffBackend> {
    file: &'a CheckpointFile,
    path: Path,
    records: AdamRecords<B>,
    error: Option<String>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for MomentLoader<'_, B> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        let path = self.path.join();
        let Some(&updates) = self.file.header.updates.get(&path) else {
            return;
        };
        let value = parameter.val();
        let device = value.device();
        let moment = |suffix: &str| {
            let name = format!("{OPTIMIZER}{path}{suffix}");
            let stored = self.file.tensor(&name, &value.dims())?;
            Ok(Tensor::<B::InnerBackend, D>::from_data(
                stored.to_data(),
                &device,
            ))
        };
        match (moment(MOMENTS[0]), moment(MOMENTS[1])) {
            (Ok(first), Ok(second)) => {
                let momentum = AdaptiveMomentumState::new(updates, first, second);
                let record = AdaptorRecord::from_state(AdamState::new(momentum));
                self.records.insert(parameter.id, record);
            }
            (Err(error), _) | (_, Err(error)) => {
                self.error.get_or_insert(error);
            }
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }
}
