//! The library as a program of its own would use it. Each module is one use, from a model directory to an answer:
//!
//! | program | what it does |
//! |---|---|
//! | [`classify`] `DIR TEXT...` | which class a text has |
//! | [`tag`] `DIR TEXT...` | the tag of every word |
//! | [`answer`] `DIR QUESTION CONTEXT` | the part of a passage that answers a question |
//! | [`choose`] `DIR QUESTION CHOICE CHOICE...` | which of several answers is right |
//! | [`embed`] `DIR TEXT...` | a vector for every text, and how similar it is to the first |
//! | [`fine_tune`] `DIR [OUTPUT]` | trains a classifier on a few sentences, step by step; writes it into OUTPUT |
//!
//! `cargo run --release -p examples -- classify runs/sentiment/model "A wonderful evening."`

pub mod answer;
pub mod choose;
pub mod classify;
pub mod embed;
pub mod fine_tune;
pub mod tag;

use bert_core::backend::{Job, run_on_cpu};
use bert_core::config::Compute;
use bert_core::data::packed::PackedSequences;
use bert_core::error::Result;
use bert_core::tell;
use bert_core::tokenizer::Encoding;
use bert_core::weights::{Head, ModelDirectory};

/// The name of an output of a head.
pub fn label(head: &Head, output: usize) -> String {
    let name = head.labels.get(output).cloned();
    name.unwrap_or_else(|| format!("LABEL_{output}"))
}

/// A text or a pair as the model takes it. That it had to be cut is said on standard error.
///
/// # Errors
/// What encoding gives.
pub fn encode(directory: &ModelDirectory, text: &str, pair: Option<&str>) -> Result<Encoding> {
    let most = directory.config.max_position_embeddings;
    let encoding = directory.tokenizer.encode_truncated(text, pair, most)?;
    if encoding.truncated {
        let beginning: String = text.chars().take(40).collect();
        tell!("cut to the model's {most} tokens: \"{beginning}…\"");
    }
    Ok(encoding)
}

/// Texts, or pairs, as one batch: no padding, whatever their lengths.
///
/// # Errors
/// What encoding gives.
pub fn pack<'a>(
    directory: &ModelDirectory,
    texts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<PackedSequences> {
    let mut sequences = PackedSequences::default();
    for (text, pair) in texts {
        let encoding = encode(directory, text, pair)?;
        sequences.push(&encoding.input_ids, &encoding.token_type_ids);
    }
    Ok(sequences)
}

/// Does a job on the CPU; [`bert_core::backend::run_on`] would do it where a configuration says, on a GPU too.
///
/// # Errors
/// The job's.
pub fn on_cpu<J: Job>(job: J) -> Result<J::Output> {
    run_on_cpu(Compute::F32, job)
}

/// The place of the highest score, the first of equal ones.
pub fn argmax(scores: &[f32]) -> usize {
    let numbered = scores.iter().enumerate();
    // Of equal ones `max_by` takes the last that it meets.
    let best = numbered.rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map_or(0, |(index, _)| index)
}
