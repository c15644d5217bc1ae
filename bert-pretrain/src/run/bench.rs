//! `bench`: how fast this machine and backend train and infer.

use std::path::Path;
use std::time::Instant;

use bert_core::backend::Job;
use bert_core::config::{BackendConfig, BertConfig, OptimizerConfig, from_value};
use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::BertOptimizer;
use bert_core::train::TaskBatch;
use burn::module::AutodiffModule;
use burn::optim::Optimizer;
use burn::tensor::backend::Backend;
use burn_train::{InferenceStep, TrainStep};
use rand::Rng;
use serde_json::{Value, json};

use super::{on, print, usage};
use crate::examples::{Example, Origin};
use crate::task::{Pretraining, PretrainingBatch};

/// The vocabulary of a model configuration that leaves it to the tokenizer: BERT's.
const VOCABULARY: usize = 30_522;

/// The sequence lengths of every batch.
pub(super) fn lengths(file: Option<&Path>, batch: usize, seq: usize) -> Result<Vec<Vec<usize>>> {
    if batch == 0 {
        return Err(usage("--batch is 0", "give at least one sequence a batch"));
    }
    let Some(path) = file else {
        return Ok(vec![vec![seq; batch]]);
    };
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let mut all = Vec::new();
    for (index, line) in text.lines().enumerate() {
        all.push(line.trim().parse().map_err(|_| Error::Data {
            path: path.to_path_buf(),
            line: Some(index as u64 + 1),
            problem: format!("\"{line}\" is not a length"),
            help: "give one number of tokens a line".into(),
        })?);
    }
    Ok(all.chunks(batch).map(<[usize]>::to_vec).collect())
}

pub(super) fn bench(
    origin: &Path,
    model: Value,
    backend: &BackendConfig,
    lengths: Vec<Vec<usize>>,
    iters: usize,
    dropout: f64,
    json: bool,
) -> Result<()> {
    let mut config: BertConfig = from_value(&origin.display().to_string(), model)?;
    if config.vocab_size == 0 {
        config.vocab_size = VOCABULARY;
    }
    config.hidden_dropout_prob = dropout;
    config.attention_probs_dropout_prob = dropout;
    let mut all = lengths.iter().flatten();
    if iters == 0 || lengths.is_empty() || !(0.0..1.0).contains(&dropout) {
        return Err(usage(
            "there is nothing to time",
            "give --iters of at least 1, lengths, and --dropout below 1",
        ));
    }
    if all.any(|&length| length < 4 || length > config.max_position_embeddings) {
        return Err(usage(
            format!(
                "sequences must have 4 to {} tokens",
                config.max_position_embeddings
            ),
            "change --seq or --lengths, or --set max_position_embeddings=...",
        ));
    }
    let batches: Vec<PretrainingBatch> = lengths
        .iter()
        .enumerate()
        .map(|(index, lengths)| random_batch(&config, index as u64, lengths))
        .collect();
    let tokens: usize = batches.iter().map(TaskBatch::tokens).sum();
    let job = BenchJob {
        config: &config,
        batches,
        iters,
    };
    let times = on(backend, job)?;
    let value = json!({
        "tokens": tokens,
        "infer_ms": times.infer,
        "train_ms": times.train,
        "forward_ms": times.forward,
        "backward_ms": times.backward,
        "optimizer_ms": times.optimizer,
        "infer_tokens_per_second": tokens as f64 / times.infer * 1e3,
        "train_tokens_per_second": tokens as f64 / times.train * 1e3,
    });
    print(json, &value, || {
        format!(
            "{tokens} tokens, medians of {iters}\n\
             infer      {:>10.1} ms  {:>9.0} tokens/s\n\
             train      {:>10.1} ms  {:>9.0} tokens/s\n\
             \x20 forward  {:>10.1} ms\n  backward {:>10.1} ms\n  optimizer{:>10.1} ms",
            times.infer,
            tokens as f64 / times.infer * 1e3,
            times.train,
            tokens as f64 / times.train * 1e3,
            times.forward,
            times.backward,
            times.optimizer,
        )
    })
}

/// Random tokens, 15 % of them masked.
fn random_batch(config: &BertConfig, index: u64, lengths: &[usize]) -> PretrainingBatch {
    let mut random = generator(1, "bench", &[index]);
    let vocabulary = config.vocab_size as u32;
    let examples: Vec<Example> = lengths
        .iter()
        .map(|&length| {
            let masked = ((length as f64 * 0.15).round() as u32).max(1);
            Example {
                input_ids: (0..length)
                    .map(|_| random.random_range(0..vocabulary))
                    .collect(),
                token_type_ids: vec![0; length],
                masked_positions: (1..=masked).collect(),
                masked_labels: (0..masked)
                    .map(|_| random.random_range(0..vocabulary))
                    .collect(),
                next_sentence_label: Some(random.random_range(0..2)),
                origin: Origin {
                    document: 0,
                    first_sentence: 0,
                    random_document: None,
                    epoch: 0,
                },
            }
        })
        .collect();
    let mut batch = PretrainingBatch::new(&examples, Default::default());
    PretrainingBatch::join(std::slice::from_mut(&mut batch), index);
    batch
}

struct BenchJob<'a> {
    config: &'a BertConfig,
    batches: Vec<PretrainingBatch>,
    iters: usize,
}

/// Medians in milliseconds, over all batches.
struct Times {
    infer: f64,
    train: f64,
    forward: f64,
    backward: f64,
    optimizer: f64,
}

impl Job for BenchJob<'_> {
    type Output = Times;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Times> {
        let mut model = Pretraining::<B>::new(self.config, 1, &device);
        let mut optimizer = BertOptimizer::<B>::new(OptimizerConfig::default(), Some(1.0));
        let rows = self.iters + 1; // the first warms up
        let mut columns: [Vec<f64>; 5] = Default::default();
        for row in 0..rows {
            let mut sums = [0.0; 5];
            for batch in &self.batches {
                let inference = model.valid();
                let started = Instant::now();
                inference.step(batch.clone()).into_statistics();
                sums[0] += started.elapsed().as_secs_f64();

                let started = Instant::now();
                let loss = model.forward_loss(batch);
                sync::<B>(&device);
                sums[1] += started.elapsed().as_secs_f64();
                drop(loss);

                let started = Instant::now();
                let output = TrainStep::step(&model, batch.clone());
                sync::<B>(&device);
                sums[2] += started.elapsed().as_secs_f64();

                let started = Instant::now();
                model = optimizer.step(1e-4, model, output.grads);
                sync::<B>(&device);
                sums[3] += started.elapsed().as_secs_f64();
            }
            sums[4] = sums[2] + sums[3];
            if row > 0 {
                for (column, sum) in columns.iter_mut().zip(sums) {
                    column.push(sum * 1e3);
                }
            }
        }
        let [infer, forward, both, optimizer, train] = columns.map(median);
        Ok(Times {
            infer,
            train,
            forward,
            backward: both - forward,
            optimizer,
        })
    }
}

fn sync<B: Backend>(device: &B::Device) {
    // A device that fails here fails in the next step too, with its reason.
    let _ = B::sync(device);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    }
}
