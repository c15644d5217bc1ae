//! What the model is trained on: sequences with what the head should say of them, in batches.

use std::sync::Arc;

use bert_core::data::packed::PackedSequences;
use bert_core::train::TaskBatch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One sequence as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Word ids, special tokens included.
    pub input_ids: Vec<u32>,
    /// 0 through the first `[SEP]`, 1 after it.
    pub token_type_ids: Vec<u8>,
}

/// What stays together in a batch: a text, a window of one, or a question with all its choices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// One, or one for each choice.
    pub sequences: Vec<Sequence>,
    /// The tokens of interest, of a model that labels tokens.
    pub tokens: Vec<usize>,
    /// How many rows of scores it gets.
    pub rows: usize,
    /// What the head should say, where that is known.
    pub target: Option<Target>,
}

/// What the head should say of an example: targets in the shape of its scores, and what they weigh in a mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// One for each score, row by row.
    pub values: Vec<f32>,
    /// What the sum of the example's losses is divided by in a mean over it alone.
    pub weight: f64,
    /// The right class of each row, where one is right.
    pub classes: Vec<u32>,
}

impl Example {
    /// The tokens of all its sequences.
    pub fn length(&self) -> usize {
        let lengths = self.sequences.iter().map(|s| s.input_ids.len());
        lengths.sum()
    }
}

/// The place in the training data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of this one.
    pub batch: usize,
}

/// A micro-batch, on the host.
#[derive(Debug, Clone)]
pub struct FinetuneBatch {
    /// Their tokens.
    pub(crate) sequences: PackedSequences,
    /// Which examples of their set these are.
    pub(crate) examples: Arc<[usize]>,
    /// How many sequences each has.
    pub(crate) sequence_counts: Arc<[usize]>,
    /// How many rows of scores each has.
    pub(crate) row_counts: Arc<[usize]>,
    /// The rows of the tokens of interest.
    pub(crate) tokens: Arc<[usize]>,
    /// Targets of all scores; `None` where they are not known.
    pub(crate) targets: Option<Arc<[f32]>>,
    /// The right class of each row, where one is right.
    pub(crate) classes: Arc<[u32]>,
    /// What this batch weighs.
    pub(crate) weight: f64,
    /// What the whole optimizer step weighs, set by `join`.
    pub(crate) step_weight: f64,
    pub(crate) dropout_seed: u64,
    after: Cursor,
}

impl FinetuneBatch {
    /// Of some examples of a set; `after` is where the stream goes on.
    pub fn new(set: &[Example], examples: &[usize], after: Cursor) -> Self {
        let mut sequences = PackedSequences::default();
        let (mut tokens, mut values, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sequence_counts, mut row_counts) = (Vec::new(), Vec::new());
        let mut weight = 0.0;
        let mut known = true;
        for &example in examples {
            let example = &set[example];
            let start = sequences.tokens();
            for sequence in &example.sequences {
                sequences.push(&sequence.input_ids, &sequence.token_type_ids);
            }
            tokens.extend(example.tokens.iter().map(|token| start + token));
            sequence_counts.push(example.sequences.len());
            row_counts.push(example.rows);
            match &example.target {
                Some(target) => {
                    values.extend_from_slice(&target.values);
                    classes.extend_from_slice(&target.classes);
                    weight += target.weight;
                }
                None => known = false,
            }
        }
        Self {
            sequences,
            examples: examples.into(),
            sequence_counts: sequence_counts.into(),
            row_counts: row_counts.into(),
            tokens: tokens.into(),
            targets: known.then(|| values.into()),
            classes: classes.into(),
            weight,
            step_weight: weight,
            dropout_seed: 0,
            after,
        }
    }

    /// Which examples of their set these are.
    pub fn examples(&self) -> &[usize] {
        &self.examples
    }
}

impl TaskBatch for FinetuneBatch {
    fn tokens(&self) -> usize {
        self.sequences.tokens()
    }

    fn resume(&self) -> Value {
        json!(self.after)
    }

    fn describe(&self) -> String {
        let shown: Vec<String> = self.examples.iter().take(8).map(usize::to_string).collect();
        let more = self.examples.len().saturating_sub(shown.len());
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let tokens = self.tokens();
        format!(
            "{tokens} tokens of training examples {}{more}",
            shown.join(", ")
        )
    }

    fn join(batches: &mut [Self], seed: u64) {
        let weight = batches.iter().map(|batch| batch.weight).sum();
        for (index, batch) in batches.iter_mut().enumerate() {
            batch.dropout_seed = bert_core::data::random::derive(seed, "micro", &[index as u64]);
            batch.step_weight = weight;
        }
    }
}
