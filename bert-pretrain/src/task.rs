//! Pre-training as a task of the training loop: batches, the loss, and the metrics made of its sums.

use bert_core::config::BertConfig;
use bert_core::data::packed::PackedSequences;
use bert_core::model::{BertForPreTraining, PreTrainingLabels};
use bert_core::ops::{BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::train::{MetricInfo, StepMetrics, StepOutput, Task, TaskBatch};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_train::{InferenceStep, TrainOutput, TrainStep};
use serde_json::{Value, json};

use crate::examples::{Cursor, Example};

/// One micro-batch, on the host.
#[derive(Debug, Clone)]
pub struct PretrainingBatch {
    sequences: PackedSequences,
    masked_rows: Vec<usize>,
    masked_labels: Vec<u32>,
    next_sentence: Option<Vec<u8>>,
    after: Cursor,
    documents: Vec<u64>,
    dropout_seed: u64,
    /// Masked tokens and sequences of the whole optimizer step, set by `join`.
    step_masked: usize,
    step_sequences: usize,
}

impl PretrainingBatch {
    /// Of some examples; `after` is where the stream goes on.
    pub fn new(examples: &[Example], after: Cursor) -> Self {
        let mut sequences = PackedSequences::default();
        let (mut masked_rows, mut masked_labels) = (Vec::new(), Vec::new());
        for example in examples {
            let start = sequences.tokens();
            sequences.push(&example.input_ids, &example.token_type_ids);
            let positions = example.masked_positions.iter();
            masked_rows.extend(positions.map(|&position| start + position as usize));
            masked_labels.extend_from_slice(&example.masked_labels);
        }
        Self {
            step_masked: masked_labels.len(),
            step_sequences: examples.len(),
            sequences,
            masked_rows,
            masked_labels,
            next_sentence: examples.iter().map(|e| e.next_sentence_label).collect(),
            after,
            documents: examples.iter().map(|e| e.origin.document as u64).collect(),
            dropout_seed: 0,
        }
    }

    /// The tokens.
    pub(crate) fn sequences(&self) -> &PackedSequences {
        &self.sequences
    }

    /// What the heads should say of them.
    pub(crate) fn labels(&self) -> PreTrainingLabels<'_> {
        PreTrainingLabels {
            masked_rows: &self.masked_rows,
            masked_labels: &self.masked_labels,
            next_sentence: self.next_sentence.as_deref(),
            mlm_weight: self.per_masked(),
        }
    }

    /// What the sum over this batch's masked tokens is multiplied with.
    fn per_masked(&self) -> f64 {
        1.0 / self.step_masked.max(1) as f64
    }
}

impl TaskBatch for PretrainingBatch {
    fn tokens(&self) -> usize {
        self.sequences.tokens()
    }

    fn resume(&self) -> Value {
        json!(self.after)
    }

    fn describe(&self) -> String {
        let documents: Vec<String> = self.documents.iter().take(8).map(u64::to_string).collect();
        let more = self.documents.len().saturating_sub(8);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "{} tokens of documents {}{more}",
            self.tokens(),
            documents.join(", ")
        )
    }

    fn record(&self) -> Value {
        let mut sequences = Vec::new();
        let mut masked = self.masked_rows.iter().zip(&self.masked_labels).peekable();
        let mut start = 0;
        for (index, &length) in self.sequences.lengths.iter().enumerate() {
            let end = start + length;
            let (mut positions, mut labels) = (Vec::new(), Vec::new());
            while let Some((row, label)) = masked.next_if(|(row, _)| **row < end) {
                positions.push(row - start);
                labels.push(*label);
            }
            sequences.push(json!({
                "document": self.documents[index],
                "input_ids": self.sequences.input_ids[start..end],
                "token_type_ids": self.sequences.token_type_ids[start..end],
                "masked_positions": positions,
                "masked_labels": labels,
                "next_sentence_label": self.next_sentence.as_ref().map(|labels| labels[index]),
            }));
            start = end;
        }
        json!({ "sequences": sequences })
    }

    fn join(batches: &mut [Self], seed: u64) {
        let masked = batches.iter().map(|b| b.masked_labels.len()).sum();
        let sequences = batches.iter().map(|b| b.sequences.lengths.len()).sum();
        for (index, batch) in batches.iter_mut().enumerate() {
            batch.dropout_seed = bert_core::data::random::derive(seed, "micro", &[index as u64]);
            batch.step_masked = masked;
            batch.step_sequences = sequences;
        }
    }
}

/// The model with its loss.
#[derive(Module, Debug)]
pub struct Pretraining<B: Backend> {
    /// What is trained.
    pub model: BertForPreTraining<B>,
}

impl<B: Backend> Pretraining<B> {
    /// With initial weights.
    pub fn new(config: &BertConfig, seed: u64, device: &B::Device) -> Self {
        Self {
            model: BertForPreTraining::new(config, seed, device),
        }
    }
}

impl<B: BertBackend> Pretraining<B> {
    /// The training loss of a batch, `[1]`, for timing the parts of a step.
    pub(crate) fn forward_loss(&self, batch: &PretrainingBatch) -> Tensor<B, 1> {
        self.loss(batch, &DropoutKey::training(batch.dropout_seed))
            .0
    }

    /// The loss of the optimizer step's share that this batch is, `[1]`, and the statistics, `[6]`: the MLM loss sum,
    /// correct tokens, masked tokens, the NSP loss sum, correct sequences, sequences with a label.
    fn loss(&self, batch: &PretrainingBatch, dropout: &DropoutKey) -> (Tensor<B, 1>, Tensor<B, 1>) {
        let device = &self.model.cls.predictions.bias.device();
        let packed = batch.sequences.to_device(device);
        let loss = self.model.loss(&packed, batch.labels(), dropout);
        let per_sequence = 1.0 / batch.step_sequences.max(1) as f64;
        let mean = loss.mlm_sum.clone().mul_scalar(batch.per_masked())
            + loss.nsp_sum.clone().mul_scalar(per_sequence);
        let sequences = batch.next_sentence.as_ref().map_or(0, Vec::len);
        let count = |count: usize| {
            Tensor::<B, 1>::from_data(TensorData::new(vec![count as f32], [1]), device)
        };
        let statistics = Tensor::cat(
            vec![
                loss.mlm_sum.detach(),
                loss.mlm_correct,
                count(batch.masked_labels.len()),
                loss.nsp_sum.detach(),
                loss.nsp_correct,
                count(sequences),
            ],
            0,
        );
        (mean, statistics)
    }
}

impl<B: BertAutodiffBackend> TrainStep for Pretraining<B> {
    type Input = PretrainingBatch;
    type Output = StepOutput<B>;

    fn step(&self, batch: PretrainingBatch) -> TrainOutput<StepOutput<B>> {
        let dropout = DropoutKey::training(batch.dropout_seed);
        let (loss, statistics) = self.loss(&batch, &dropout);
        TrainOutput::new(self, loss.backward(), StepOutput::Statistics(statistics))
    }
}

impl<B: BertBackend> InferenceStep for Pretraining<B> {
    type Input = PretrainingBatch;
    type Output = StepOutput<B>;

    fn step(&self, batch: PretrainingBatch) -> StepOutput<B> {
        let (_, statistics) = self.loss(&batch, &DropoutKey::inference());
        StepOutput::Statistics(statistics)
    }
}

impl<B: BertAutodiffBackend> Task<B> for Pretraining<B> {
    type Batch = PretrainingBatch;

    fn metrics(statistics: &[f64]) -> StepMetrics {
        metrics(statistics)
    }
}

/// The metrics of pre-training, in the order in which they are shown.
pub fn metric_infos() -> Vec<MetricInfo> {
    let info = |name, higher_is_better| MetricInfo {
        name,
        higher_is_better,
    };
    vec![
        LOSS,
        info("mlm_loss", false),
        info("mlm_accuracy", true),
        info("mlm_perplexity", false),
        info("nsp_loss", false),
        info("nsp_accuracy", true),
    ]
}

/// The sum of the losses: the best model is the one that has the least.
pub const LOSS: MetricInfo = MetricInfo {
    name: "loss",
    higher_is_better: false,
};

/// The metrics of the statistics of held-out batches; of no batches, nothing.
pub fn evaluation(batches: &mut dyn Iterator<Item = (PretrainingBatch, Vec<f64>)>) -> StepMetrics {
    let sums = batches
        .map(|(_, statistics)| statistics)
        .reduce(|sums, more| {
            sums.iter()
                .zip(more)
                .map(|(sum, value)| sum + value)
                .collect()
        });
    sums.map(|sums| metrics(&sums)).unwrap_or_default()
}

/// The metrics of summed statistics; a mean over nothing is left out.
pub fn metrics(statistics: &[f64]) -> StepMetrics {
    let &[
        mlm_sum,
        mlm_correct,
        masked,
        nsp_sum,
        nsp_correct,
        sequences,
    ] = statistics
    else {
        return StepMetrics::default();
    };
    let (mlm_loss, nsp_loss) = (mlm_sum / masked.max(1.0), nsp_sum / sequences.max(1.0));
    let mut values = vec![("loss", mlm_loss + nsp_loss)];
    if masked > 0.0 {
        values.extend([
            ("mlm_loss", mlm_loss),
            ("mlm_accuracy", mlm_correct / masked),
            ("mlm_perplexity", mlm_loss.exp()),
        ]);
    }
    if sequences > 0.0 {
        values.extend([
            ("nsp_loss", nsp_loss),
            ("nsp_accuracy", nsp_correct / sequences),
        ]);
    }
    StepMetrics { values }
}
