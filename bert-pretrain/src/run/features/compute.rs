//! The numbers: rows in batches of like lengths, given back in the order of the input.

use std::ops::Range;

use bert_core::data::batches::group;
use bert_core::data::packed::{PackedSequences, Selection, ids};
use bert_core::error::Result;
use bert_core::model::BertForPreTraining;
use bert_core::ops::{BertBackend, DropoutKey};
use burn::tensor::Tensor;
use indicatif::{ProgressBar, ProgressStyle};

use super::plan::Plan;
use crate::cli::Pooling;

/// Rows sorted by length at a time, in batches: enough for batches of like lengths, few enough to keep in memory.
const POOLED_BATCHES: usize = 16;

/// What is computed of one row; empty where it was not asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct RowFeatures {
    /// `[tokens, hidden]`, or `[hidden]` where pooled.
    pub(super) states: Vec<f32>,
    /// `[tokens, vocabulary]`
    pub(super) mlm_logits: Vec<f32>,
    /// `[2]`
    pub(super) nsp_logits: Vec<f32>,
}

pub(super) struct Compute<'a, B: BertBackend> {
    pub(super) plan: &'a Plan,
    pub(super) rows: &'a PackedSequences,
    pub(super) model: &'a BertForPreTraining<B>,
    pub(super) device: &'a B::Device,
}

impl<B: BertBackend> Compute<'_, B> {
    /// Passes on every row in order. Rows are computed in batches of like lengths.
    pub(super) fn all(&self, mut take: impl FnMut(RowFeatures) -> Result<()>) -> Result<()> {
        let lengths = &self.rows.lengths;
        let bar = progress(self.rows.tokens());
        let batches_a_pool = if self.plan.mlm { 1 } else { POOLED_BATCHES };
        let pool_tokens = self.plan.batch_tokens.saturating_mul(batches_a_pool);
        let mut first_token = 0;
        for pool in group(lengths, pool_tokens) {
            // (row within the pool, its tokens)
            let mut rows: Vec<(usize, Range<usize>)> = Vec::with_capacity(pool.len());
            for (row, length) in lengths[pool].iter().enumerate() {
                rows.push((row, first_token..first_token + length));
                first_token += length;
            }
            let mut computed = vec![RowFeatures::default(); rows.len()];
            rows.sort_by_key(|(_, tokens)| tokens.len());
            let sorted: Vec<usize> = rows.iter().map(|(_, tokens)| tokens.len()).collect();
            for batch in group(&sorted, self.plan.batch_tokens) {
                let batch = &rows[batch];
                let mut sequences = PackedSequences::default();
                for (_, tokens) in batch {
                    sequences.push(
                        &self.rows.input_ids[tokens.clone()],
                        &self.rows.token_type_ids[tokens.clone()],
                    );
                }
                for ((row, _), features) in batch.iter().zip(self.batch(&sequences)) {
                    computed[*row] = features;
                }
                bar.inc(sequences.tokens() as u64);
            }
            computed.into_iter().try_for_each(&mut take)?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn batch(&self, sequences: &PackedSequences) -> Vec<RowFeatures> {
        let batch = sequences.to_device(self.device);
        let dropout = DropoutKey::inference();
        let bert = &self.model.bert;
        let embedded = bert.embeddings.forward(&batch, &dropout);
        let is_last = self.plan.layer == bert.encoder.layer.len();
        // Then the last layer is computed for `[CLS]` alone.
        let only_first = is_last && self.plan.first_tokens_only();
        let (chosen, last) = if only_first {
            let first = Selection::new(batch.sequences.starts(), &batch.sequences, self.device);
            let first = bert
                .encoder
                .forward_selected(embedded, &batch.sequences, &first, &dropout);
            (first.clone(), first)
        } else if is_last {
            let last = bert.encoder.forward(embedded, &batch.sequences, &dropout);
            (last.clone(), last)
        } else {
            let mut all = bert
                .encoder
                .all_hidden_states(embedded, &batch.sequences, &dropout);
            let last = all[all.len() - 1].clone();
            (all.swap_remove(self.plan.layer), last)
        };
        let pooled = || {
            bert.pooler.forward(if only_first {
                last.clone()
            } else {
                last.clone().select(0, batch.first_tokens.clone())
            })
        };
        let values = |tensor: Tensor<B, 2>| -> Vec<f32> { tensor.into_data().iter().collect() };

        let one_each = vec![1; sequences.lengths.len()];
        let lengths = if only_first {
            &one_each
        } else {
            &sequences.lengths
        };
        let hidden = self.plan.hidden;
        let mut states = match self.plan.pooling {
            Pooling::None => split(&values(chosen), lengths, hidden),
            Pooling::Pooler => split(&values(pooled()), &one_each, hidden),
            Pooling::Cls => {
                let mut states = split(&values(chosen), lengths, hidden);
                states.iter_mut().for_each(|states| states.truncate(hidden));
                states
            }
            Pooling::Mean => split(&values(chosen), lengths, hidden)
                .iter()
                .map(|states| mean(states, hidden))
                .collect(),
        };
        if self.plan.normalize {
            states.iter_mut().for_each(|vector| normalize(vector));
        }
        let mut rows: Vec<RowFeatures> = states
            .into_iter()
            .map(|states| RowFeatures {
                states,
                ..Default::default()
            })
            .collect();
        if self.plan.mlm {
            let every = ids(0..sequences.tokens() as i64, self.device);
            let logits = values(self.model.masked_lm_logits(last.clone(), every));
            let logits = split(&logits, lengths, self.plan.vocabulary);
            for (row, logits) in rows.iter_mut().zip(logits) {
                row.mlm_logits = logits;
            }
        }
        if self.plan.nsp {
            let logits = values(self.model.next_sentence_logits(pooled()));
            for (row, logits) in rows.iter_mut().zip(logits.chunks(2)) {
                row.nsp_logits = logits.to_vec();
            }
        }
        rows
    }
}

/// The rows of each sequence, `width` values each.
fn split(values: &[f32], lengths: &[usize], width: usize) -> Vec<Vec<f32>> {
    let mut rest = values;
    let part = |length: &usize| {
        let (part, after) = rest.split_at(length * width);
        rest = after;
        part.to_vec()
    };
    lengths.iter().map(part).collect()
}

fn mean(states: &[f32], hidden: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; hidden];
    for state in states.chunks(hidden) {
        for (sum, value) in sums.iter_mut().zip(state) {
            *sum += f64::from(*value);
        }
    }
    let tokens = (states.len() / hidden) as f64;
    sums.iter().map(|sum| (sum / tokens) as f32).collect()
}

/// Divides a vector by its Euclidean length.
fn normalize(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    let scale = 1.0 / square.sqrt().max(1e-12);
    for value in vector {
        *value = (f64::from(*value) * scale) as f32;
    }
}

/// On standard error, where that is a terminal.
fn progress(tokens: usize) -> ProgressBar {
    let bar = ProgressBar::new(tokens as u64);
    let template = "{wide_bar} {human_pos}/{human_len} tokens {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
