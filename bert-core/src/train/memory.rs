//! Whether a training can fit into memory, asked before it begins: a process that takes too much is killed, and there is
//! nobody left to say why.

use sysinfo::{MemoryRefreshKind, System};

use crate::config::{BackendConfig, BertConfig};
use crate::error::{Error, Result};

/// Bytes that a parameter takes: itself, its gradient and its two moments, in f32.
const BYTES_PER_PARAMETER: u64 = 16;
/// Bytes of one that is not trained.
const BYTES_PER_WEIGHT: u64 = 4;

/// Refuses a training on the CPU that needs more memory than is free, `tokens` being those of a micro-batch. What it
/// counts is the least: weights, and but for frozen layers moments, gradients, and what each layer keeps for its backward
/// step.
///
/// # Errors
/// [`Error::Usage`] with what would fit.
pub fn check_memory(
    backend: &BackendConfig,
    config: &BertConfig,
    tokens: usize,
    frozen_layers: usize,
) -> Result<()> {
    if !matches!(backend, BackendConfig::Ndarray { .. }) {
        return Ok(()); // the memory is the device's own
    }
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let mut free = system.available_memory() + system.free_swap();
    if let Some(limits) = system.cgroup_limits() {
        // Not its `free_memory`, for which cached files are used memory.
        let unused = limits.total_memory.saturating_sub(limits.rss);
        free = free.min(unused + limits.free_swap);
    }
    compare(config, tokens, frozen_layers, free)
}

fn compare(config: &BertConfig, tokens: usize, frozen_layers: usize, free: u64) -> Result<()> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64);
    let trained_layers = config.num_hidden_layers.saturating_sub(frozen_layers);
    let trained = match frozen_layers {
        0 => parameters(config),
        // The embeddings are frozen with them.
        _ => of_layers(config, trained_layers),
    };
    let frozen = parameters(config) - trained;
    let weights = trained.saturating_mul(BYTES_PER_PARAMETER);
    let weights = weights.saturating_add(frozen.saturating_mul(BYTES_PER_WEIGHT));
    let of_token = bytes_per_token(config, trained_layers);
    let needed = weights.saturating_add(of_token.saturating_mul(tokens as u64));
    if free == 0 || needed <= free {
        return Ok(()); // where nothing is known of the system, nothing is refused
    }
    let fitting = free.saturating_sub(weights) / of_token.max(1);
    let (problem, help) = if weights >= free {
        (
            format!("a model of these sizes takes {} to train", gib(weights)),
            "choose a smaller model (model.hidden_size, model.num_hidden_layers)".to_string(),
        )
    } else {
        (
            format!(
                "a batch of {tokens} tokens (training.batch_tokens) takes {} with this model",
                gib(needed)
            ),
            format!(
                "lower training.batch_tokens below {fitting}, and raise training.accumulation as much"
            ),
        )
    };
    Err(Error::Usage {
        problem: format!("{problem} at the least, {} are free", gib(free)),
        help,
    })
}

/// Those of the embeddings and the layers; heads add little.
fn parameters(config: &BertConfig) -> u64 {
    let size = |size: usize| size as u64;
    let hidden = size(config.hidden_size);
    let rows = size(config.vocab_size)
        .saturating_add(size(config.max_position_embeddings))
        .saturating_add(size(config.type_vocab_size));
    let embeddings = hidden.saturating_mul(rows);
    embeddings.saturating_add(of_layers(config, config.num_hidden_layers))
}

/// Those of so many layers.
fn of_layers(config: &BertConfig, layers: usize) -> u64 {
    let (hidden, intermediate) = (config.hidden_size as u64, config.intermediate_size as u64);
    let maps = (hidden.saturating_mul(4)).saturating_add(intermediate.saturating_mul(2));
    hidden.saturating_mul(maps).saturating_mul(layers as u64)
}

/// What each token leaves behind in the forward pass: in every layer that is trained its queries, keys and values, the attention's output,
/// the results of both layer norms, and the feed-forward network before its activation.
fn bytes_per_token(config: &BertConfig, trained_layers: usize) -> u64 {
    let hidden = (config.hidden_size as u64).saturating_mul(6);
    let kept = hidden.saturating_add(config.intermediate_size as u64);
    kept.saturating_mul(4 * trained_layers as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_value;
    use serde_json::json;

    #[test]
    fn what_cannot_fit_is_refused_with_what_would() {
        let base = json!({"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12});
        let config: BertConfig = from_value("base", base).unwrap();
        // BERT-Base has 110 million parameters with its pooler.
        assert!((108_000_000..110_000_000).contains(&parameters(&config)));
        let gib = 1 << 30;
        compare(&config, 4096, 0, 4 * gib).unwrap();
        compare(&config, usize::MAX, 0, 0).unwrap();
        let error = compare(&config, 1 << 20, 0, 16 * gib).unwrap_err();
        let message = format!("{error}; {}", error.help().unwrap());
        let said = "a batch of 1048576 tokens (training.batch_tokens) takes 361.6 GiB with this model at the least, \
                    16.0 GiB are free; lower training.batch_tokens below 41882";
        assert!(message.starts_with(said), "{message}");
        // Of frozen layers there are the weights, and nothing else.
        compare(&config, 4096, 12, gib / 2).unwrap();
        compare(&config, 4096, 12, gib / 4).unwrap_err();
        let error = compare(&config, 1, 0, gib).unwrap_err().to_string();
        assert!(
            error.starts_with("a model of these sizes takes 1.6 GiB"),
            "{error}"
        );
    }
}
