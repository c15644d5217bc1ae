//! `bench`: how fast this machine and backend train and infer.

mod figures;
mod job;
mod work;

use std::path::Path;

use bert_core::backend::run_on;
use bert_core::command::{print, usage};
use bert_core::config::{BackendConfig, BertConfig, from_value};
use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use bert_core::train::{TaskBatch, check_memory};
use rand::Rng;
use serde_json::Value;

use crate::examples::{Example, Origin};
use crate::task::PretrainingBatch;
use figures::Figures;
use job::BenchJob;
use work::Work;

/// The vocabulary of a model configuration that leaves it to the tokenizer: BERT's.
const VOCABULARY: usize = 30_522;

/// More a batch than any machine trains at once.
const MOST_SEQUENCES: usize = 1 << 20;

/// The sequence lengths of every batch.
pub(super) fn lengths(file: Option<&Path>, batch: usize, seq: usize) -> Result<Vec<Vec<usize>>> {
    if batch == 0 || batch > MOST_SEQUENCES {
        return Err(usage(
            format!("--batch is {batch}"),
            format!("give 1 to {MOST_SEQUENCES} sequences a batch"),
        ));
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
    if !(0.0..1.0).contains(&dropout) {
        return Err(usage(
            format!("--dropout is {dropout}, which is no rate"),
            "give at least 0 and less than 1",
        ));
    }
    if iters == 0 || lengths.is_empty() {
        return Err(usage(
            "there is nothing to time",
            "give --iters of at least 1, and lengths",
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
    let tokens = lengths.iter().map(|batch| batch.iter().sum());
    check_memory(backend, &config, tokens.max().unwrap_or(0), 0)?;
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
    let work = Work::of(&config, &job.batches);
    let times = run_on(backend, job)?;
    let figures = Figures {
        tokens,
        iters,
        times,
        work,
    };
    print(json, &figures.json(), || figures.readable())
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
                    cut_tokens: 0,
                    epoch: 0,
                },
            }
        })
        .collect();
    let mut batch = PretrainingBatch::new(&examples, Default::default());
    PretrainingBatch::join(std::slice::from_mut(&mut batch), index);
    batch
}
