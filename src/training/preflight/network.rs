//! The checks of the configuration and of the network, and the size of its checkpoints.

use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_store::ModuleSnapshot;

use super::Checks;
use super::names::{CONFIGURATION, WEIGHTS};
use crate::config::Config;
use crate::model::config::{Backbone, WeightsSource};
use crate::model::weights::Loaded;
use crate::model::{Embedder, EmbedderConfig};
use crate::training::resumable_keys::pinned;

/// Bytes of a value in a checkpoint.
const VALUE: u64 = 4;
/// Copies of a parameter in a checkpoint: the parameter and Adam's two moments.
const COPIES: u64 = 3;
/// Bytes of a tensor in the header of a safetensors file, besides its name: type, shape and two offsets.
const TENSOR_HEADER: u64 = 100;
/// Prefix and suffix of a tensor's name in a checkpoint (`optimizer.` and `.moment_1`).
const NAME_AFFIXES: u64 = 20;

/// Adds the main figures of a valid configuration.
pub(in crate::training) fn check_configuration(checks: &mut Checks, config: &Config) {
    let training = &config.training;
    checks.passed(
        CONFIGURATION,
        format!(
            "{} epochs, seed {}, protocol {}",
            training.epochs, training.seed, config.evaluation.protocol
        ),
    );
}

/// Adds the network, the origin of its weights, and how their file was read.
pub(in crate::training) fn check_weights<B: Backend>(
    checks: &mut Checks,
    network: &EmbedderConfig,
    loaded: &Loaded<Embedder<B>>,
) {
    use burn::module::Module;
    let name = match network.backbone {
        Backbone::None => format!("head on {} features", network.features()),
        backbone => backbone.to_string(),
    };
    let origin = match &network.weights {
        None => "random weights".to_string(),
        Some(WeightsSource::File(path)) => format!("weights from {}", path.display()),
        Some(source) => format!("weights {source:?}"),
    };
    let notes: String = loaded
        .notes
        .iter()
        .map(|note| format!("; {note}"))
        .collect();
    checks.passed(
        WEIGHTS,
        format!(
            "{}, {origin}, {} parameters{notes}",
            name,
            loaded.module.num_params()
        ),
    );
}

/// Returns the bytes of a checkpoint of `embedder`: its parameters with two moments each, its running
/// statistics and standardisation, and the header. A checkpoint of a network with frozen parameters is smaller.
pub(in crate::training) fn checkpoint_bytes<B: AutodiffBackend>(
    embedder: &Embedder<B>,
    config: &Config,
) -> u64 {
    let mut bytes = pinned(config).len() as u64;
    for tensor in embedder.valid().collect(None, None, true) {
        let name = tensor.full_path();
        let values = tensor.shape.num_elements() as u64;
        let is_trained = !name.ends_with("running_mean")
            && !name.ends_with("running_var")
            && !name.starts_with("standardization.");
        let copies = match is_trained {
            true => COPIES,
            false => 1,
        };
        let header = TENSOR_HEADER + NAME_AFFIXES + name.len() as u64;
        bytes += copies * (VALUE * values + header);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::module::Module;

    use super::*;
    use crate::model::config::Backbone;

    type AB = Autodiff<burn_flex::Flex>;

    /// 3 × parameters × 4 bytes and the running statistics, and a header that is small beside them.
    #[test]
    fn checkpoint_has_three_values_for_each_parameter() {
        let mut config = Config::default();
        config.model.backbone = Backbone::Conv4;
        config.model.embedding_dim = 4096;
        let embedder = EmbedderConfig::from(&config.model).init::<AB>(&Default::default());
        // Running mean and variance of 4 batch norms of 64 channels.
        let running = 4 * 2 * 64;
        let total = embedder.num_params() as u64;
        let parameters = total - running;
        let values = 4 * (3 * parameters + running);
        let bytes = checkpoint_bytes(&embedder, &config);
        assert!(
            bytes > values && bytes < values + values / 50,
            "{bytes} for {values}"
        );
    }
}
