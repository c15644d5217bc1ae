//! The commands, those of a kind in one file.

mod bench;
mod convert;
mod data;
mod features;
mod model;
mod predict;
mod train;

use bert_core::backend::Job;
use bert_core::command::{log_to, print, say, usage};
use bert_core::config::{BackendConfig, apply_overrides, read_value};
use bert_core::error::Result;
use bert_core::tokenizer::BertTokenizer;

use crate::cli::{Cli, Command};
use crate::config::PretrainConfig;
use crate::corpus::Prepared;
use crate::examples::{Example, Vocabulary, evaluation_examples, into_batches};
use crate::task::PretrainingBatch;

/// Runs a command.
///
/// # Errors
/// The command's own; [`bert_core::command::end`] says how to end with them.
pub fn run(cli: Cli) -> Result<()> {
    if !matches!(cli.command, Command::Train { .. }) {
        log_to(std::io::stderr(), cli.log_level.min(log::LevelFilter::Warn));
    }
    match cli.command {
        Command::Train {
            config,
            resume,
            dashboard,
        } => train::train(&config.load()?, resume, dashboard.into(), cli.log_level),
        Command::Tokenizer { config, json } => data::tokenizer(&config.load()?, json),
        Command::Prepare { config, json } => data::prepare(&config.load()?, json),
        Command::ShowExamples {
            config,
            count,
            json,
        } => data::show_examples(&config.load()?, count, json),
        Command::SampleData {
            directory,
            seed,
            json,
        } => data::sample_data(&directory, seed, json),
        Command::Evaluate {
            model,
            config,
            json,
        } => train::evaluate(&model, &config.load()?, json),
        Command::FillMask {
            model,
            top_k,
            backend,
            json,
            texts,
        } => predict::fill_mask(&model, &backend.config()?, top_k, &texts, json),
        Command::NextSentence {
            model,
            backend,
            json,
            a,
            b,
        } => predict::next_sentence(&model, &backend.config()?, &a, &b, json),
        Command::Features(args) => features::features(&args, &args.backend.config()?),
        Command::Convert {
            model,
            output,
            json,
        } => convert::convert(&model, &output, json),
        Command::Bench {
            model,
            batch,
            seq,
            lengths,
            iters,
            dropout,
            overrides,
            backend,
            json,
        } => {
            let mut value = read_value(&model)?;
            apply_overrides(&mut value, &overrides)?;
            let backend = backend.config()?;
            let lengths = bench::lengths(lengths.as_deref(), batch, seq)?;
            bench::bench(&model, value, &backend, lengths, iters, dropout, json)
        }
    }
}

/// What the example maker needs of a tokenizer.
fn vocabulary(tokenizer: &BertTokenizer) -> Result<Vocabulary> {
    let special = tokenizer.special();
    let ids = 0..tokenizer.vocab_size() as u32;
    let listed = [
        special.pad,
        special.unk,
        special.cls,
        special.sep,
        special.mask,
    ];
    Vocabulary::new(
        special,
        ids.clone().map(|id| listed.contains(&id)).collect(),
        ids.map(|id| tokenizer.continues_word(id)).collect(),
    )
}

/// The held-out examples of a configuration, in batches, and the mean masked-LM loss of predicting every masked token
/// by its frequency in the training documents (add-one, so that unseen tokens are finite), where there are any.
fn held_out(
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

/// Does a job on a backend.
fn on<J: Job>(backend: &BackendConfig, job: J) -> Result<J::Output> {
    bert_core::backend::run_on(backend, job)
}
