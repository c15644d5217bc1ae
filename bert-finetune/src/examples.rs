//! What the model is trained on: sequences with what the head should say of them, in batches.

mod targets;

use std::sync::Arc;

use bert_core::data::packed::PackedSequences;
use bert_core::train::TaskBatch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

pub use targets::{ClassTargets, Classes, Target};

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

impl Example {
    /// The tokens of all its sequences.
    pub fn length(&self) -> usize {
        let lengths = self.sequences.iter().map(|s| s.input_ids.len());
        lengths.sum()
    }
}

/// One number for all that is in the examples of some sets, as text.
pub fn fingerprint<'a>(sets: impl IntoIterator<Item = &'a [Example]>) -> String {
    let mut hash = Xxh3::new();
    let mut add = |values: &mut dyn Iterator<Item = u64>| {
        // Each list begins with its length, so that no two lists run together.
        let values: Vec<u64> = values.collect();
        hash.update(&(values.len() as u64).to_le_bytes());
        for value in values {
            hash.update(&value.to_le_bytes());
        }
    };
    for set in sets {
        add(&mut std::iter::once(set.len() as u64));
        for example in set {
            add(&mut std::iter::once(example.sequences.len() as u64));
            for sequence in &example.sequences {
                add(&mut sequence.input_ids.iter().map(|&id| u64::from(id)));
                add(&mut sequence.token_type_ids.iter().map(|&id| u64::from(id)));
            }
            add(&mut example.tokens.iter().map(|&token| token as u64));
            if let Some(target) = &example.target {
                add(&mut target
                    .values()
                    .iter()
                    .map(|value| u64::from(value.to_bits())));
            }
        }
    }
    format!("{:032x}", hash.digest128())
}

/// The place in the training data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of this one.
    pub batch: usize,
    /// How many it has; 0 where none is done, or nobody wrote it down.
    #[serde(default)]
    pub batches: usize,
}

impl Cursor {
    /// The same share of an epoch that has so many batches now: as many where nothing has changed since.
    pub fn in_epoch_of(self, batches: usize) -> Self {
        let batch = match self.batches {
            was if was == batches || was == 0 => self.batch,
            was => (self.batch * batches).div_ceil(was),
        };
        Self {
            batch: batch.min(batches),
            batches,
            ..self
        }
    }
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
                    target.append_to(&mut values);
                    classes.extend_from_slice(target.classes());
                    weight += target.weight();
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

    fn record(&self) -> Value {
        let mut start = 0;
        let sequences = self.sequences.lengths.iter().map(|length| {
            let tokens = start..start + length;
            start = tokens.end;
            json!({
                "input_ids": self.sequences.input_ids[tokens.clone()],
                "token_type_ids": self.sequences.token_type_ids[tokens],
            })
        });
        let sequences: Vec<Value> = sequences.collect();
        json!({
            "examples": *self.examples,
            "sequences": sequences,
            "sequences_of_each": *self.sequence_counts,
            "labelled_tokens": *self.tokens,
            "targets": self.targets.as_deref(),
        })
    }

    fn join(batches: &mut [Self], seed: u64) {
        let weight = batches.iter().map(|batch| batch.weight).sum();
        for (index, batch) in batches.iter_mut().enumerate() {
            batch.dropout_seed = bert_core::data::random::derive(seed, "micro", &[index as u64]);
            batch.step_weight = weight;
        }
    }
}
