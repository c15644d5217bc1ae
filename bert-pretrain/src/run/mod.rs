//! The commands, one file each where they are more than a few lines.

mod bench;
mod convert;
mod data;
mod features;
mod model;
mod predict;
mod train;

use std::fmt::Display;
use std::io::Write;

use bert_core::backend::Job;
use bert_core::config::{BackendConfig, from_value, read_value, set_backend};
use bert_core::config::{FromSection, Section, apply_overrides};
use bert_core::error::{Error, Result};
use bert_core::tokenizer::BertTokenizer;
use serde_json::{Value, json};

use crate::cli::{BackendArgs, Cli, Command, ConfigArgs};
use crate::config::PretrainConfig;
use crate::corpus::Prepared;
use crate::examples::{Example, Vocabulary, evaluation_examples, into_batches};
use crate::task::PretrainingBatch;

/// Runs a command.
///
/// # Errors
/// The command's own; [`Error::exit_code`] and [`Error::help`] say how to end.
pub fn run(cli: Cli) -> Result<()> {
    if !matches!(cli.command, Command::Train { .. }) {
        log_to(std::io::stderr(), cli.log_level.min(log::LevelFilter::Warn));
    }
    match cli.command {
        Command::Train {
            config,
            resume,
            dashboard,
        } => train::train(&load(&config)?, resume, dashboard.into(), cli.log_level),
        Command::Tokenizer { config, json } => data::tokenizer(&load(&config)?, json),
        Command::Prepare { config, json } => data::prepare(&load(&config)?, json),
        Command::ShowExamples {
            config,
            count,
            json,
        } => data::show_examples(&load(&config)?, count, json),
        Command::SampleData {
            directory,
            seed,
            json,
        } => data::sample_data(&directory, seed, json),
        Command::Evaluate {
            model,
            config,
            json,
        } => train::evaluate(&model, &load(&config)?, json),
        Command::FillMask {
            model,
            top_k,
            backend,
            json,
            texts,
        } => predict::fill_mask(&model, &backend_of(&backend)?, top_k, &texts, json),
        Command::NextSentence {
            model,
            backend,
            json,
            a,
            b,
        } => predict::next_sentence(&model, &backend_of(&backend)?, &a, &b, json),
        Command::Features(args) => features::features(&args, &backend_of(&args.backend)?),
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
            let backend = backend_of(&backend)?;
            let lengths = bench::lengths(lengths.as_deref(), batch, seq)?;
            bench::bench(&model, value, &backend, lengths, iters, dropout, json)
        }
    }
}

/// A configuration with `--set`, `--backend` and `--compute` applied.
fn load(args: &ConfigArgs) -> Result<PretrainConfig> {
    let mut value = read_value(&args.config)?;
    apply_overrides(&mut value, &args.overrides)?;
    set_backend(
        &mut value,
        args.backend.backend.as_deref(),
        args.backend.compute.as_deref(),
    );
    from_value(&args.config.display().to_string(), value)
}

struct OnlyBackend(BackendConfig);

impl FromSection for OnlyBackend {
    fn from_section(section: &mut Section) -> Self {
        Self(section.child("backend"))
    }
}

/// The backend of a command without a configuration file.
fn backend_of(args: &BackendArgs) -> Result<BackendConfig> {
    let mut value = json!({});
    if args.backend.is_some() || args.compute.is_some() {
        set_backend(&mut value, args.backend.as_deref(), args.compute.as_deref());
    }
    Ok(from_value::<OnlyBackend>("command line", value)?.0)
}

fn log_to(writer: impl std::io::Write + Send + 'static, level: log::LevelFilter) {
    // Installed twice only where a test runs two commands in one process.
    let _ = simplelog::WriteLogger::init(level, simplelog::Config::default(), writer);
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
/// by its frequency in the training documents (add-one, so that unseen tokens are finite).
fn held_out(
    config: &PretrainConfig,
    prepared: &Prepared,
    vocabulary: &Vocabulary,
) -> Result<(Vec<PretrainingBatch>, f64)> {
    if config.examples.valid_fraction == 0.0 {
        return Ok((Vec::new(), f64::NAN));
    }
    let examples = evaluation_examples(
        &prepared.corpus.valid,
        &config.examples,
        vocabulary,
        config.training.evaluate_tokens,
    )?;
    let counts = &prepared.corpus.token_counts;
    let total: u64 = counts.iter().sum::<u64>() + counts.len() as u64;
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
        loss / masked.max(1) as f64,
    ))
}

/// Prints a result: JSON, or as people read it.
fn print(json: bool, value: &Value, readable: impl FnOnce() -> String) -> Result<()> {
    if json { say(value) } else { say(readable()) }
}

/// A line, or several, on standard output. A reader that has seen enough (`| head`) is no error.
fn say(text: impl Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to", "standard output")(error))
        }
        _ => Ok(()),
    }
}

/// Does a job on a backend.
fn on<J: Job>(backend: &BackendConfig, job: J) -> Result<J::Output> {
    bert_core::backend::run_on(backend, job)
}

/// An error in what was asked for.
fn usage(problem: impl Into<String>, help: impl Into<String>) -> Error {
    Error::Usage {
        problem: problem.into(),
        help: help.into(),
    }
}
