//! The held-out examples, and what a model that reads no context would make of them.

use bert_core::error::Result;

use crate::config::PretrainConfig;
use crate::corpus::Prepared;
use crate::examples::{Example, Vocabulary, evaluation_examples, into_batches};
use crate::task::PretrainingBatch;

/// The held-out examples of a configuration, in batches, and the mean masked-LM loss of predicting every masked token
/// by its frequency in the training documents (add-one, so that unseen tokens are finite), where there are any.
pub(super) fn held_out(
    config: &PretrainConfig,
    prepared: &Prepared,
    vocabulary: &Vocabulary,
) -> Result<(Vec<PretrainingBatch>, Option<f64>)> {
    if config.examples.valid_fraction == 0.0 {
        return Ok((Vec::new(), None));
    }
    let examples = evaluation_examples(
        &prepared.corpus.valid,
        &config.examples,
        vocabulary,
        config.training.evaluate_tokens,
    )?;
    let counts = &prepared.corpus.token_counts;
    let trained: u64 = counts.iter().sum();
    let total = trained + counts.len() as u64;
    let labels = examples.iter().flat_map(|example| &example.masked_labels);
    let (mut loss, mut masked) = (0.0, 0_usize);
    for &label in labels {
        loss -= ((counts[label as usize] + 1) as f64 / total as f64).ln();
        masked += 1;
    }
    let batches = into_batches(examples, config.training.batch_tokens);
    let batch = |examples: Vec<Example>| PretrainingBatch::new(&examples, Default::default());
    Ok((
        batches.into_iter().map(batch).collect(),
        (trained > 0).then(|| loss / masked.max(1) as f64),
    ))
}
